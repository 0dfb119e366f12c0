-- How many members each arm of each campaign of the CRM has.
SELECT campaign_id, arm, CAST(COUNT(*) AS BIGINT) AS customer_count
FROM members_with_arm
GROUP BY campaign_id, arm
ORDER BY campaign_id, arm
