-- The arms of tonight's campaigns that are not over, without customers who are left out of publications.
SELECT a.customer_id, a.campaign_id, a.arm, a.is_control, a.is_holdout, a.list_name, a.until_date
FROM live_assignments AS a
LEFT JOIN unmeasured_customers AS u ON u.customer_id = a.customer_id
WHERE u.customer_id IS NULL
ORDER BY a.customer_id, a.campaign_id
