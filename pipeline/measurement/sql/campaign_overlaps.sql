-- How many members of each campaign of the CRM are in another one at the same time.
SELECT m.campaign_id, CAST(COUNT(DISTINCT m.customer_id) AS BIGINT) AS customer_count
FROM campaign_members AS m
JOIN campaigns AS c ON c.campaign_id = m.campaign_id
JOIN campaign_members AS n ON n.customer_id = m.customer_id AND n.campaign_id <> m.campaign_id
JOIN campaigns AS d ON d.campaign_id = n.campaign_id AND d.start_day <= c.end_day AND d.end_day >= c.start_day
GROUP BY m.campaign_id
ORDER BY m.campaign_id
