-- How many members each arm of each campaign of the CRM has.
SELECT
  campaign_id,
  CASE
    WHEN COALESCE(is_control, LOWER(TRIM(arm)) = 'control', FALSE) THEN 'control'
    WHEN COALESCE(LOWER(TRIM(arm)), '') IN ('', 'control') THEN 'treated'
    ELSE TRIM(arm)
  END AS arm_name,
  CAST(COUNT(*) AS BIGINT) AS customer_count
FROM campaign_members
GROUP BY 1, 2
ORDER BY 1, 2
