-- Which lists a customer is on none of: while a campaign lasts its control is on no list that it is for, and the control of the company-wide
-- holdout on none of `campaign_lists`.
SELECT customer_id, list_name
FROM campaign_arms
WHERE is_control AND list_name IS NOT NULL
UNION
SELECT a.customer_id, l.list_name
FROM campaign_arms AS a
CROSS JOIN campaign_lists AS l
WHERE a.is_control AND a.is_holdout
