-- How many customers a rule takes, their spend in the window, of how many it is unknown, and the first $sample of their ids.
SELECT
  CAST(COUNT(*) AS BIGINT) AS everybody_count,
  CAST(COALESCE(SUM(spend_amount), 0) AS DECIMAL(18, 4)) AS everybody_amount,
  CAST(COUNT(CASE WHEN is_member THEN 1 END) AS BIGINT) AS customer_count,
  CAST(COALESCE(SUM(CASE WHEN is_member THEN spend_amount END), 0) AS DECIMAL(18, 4)) AS spend_amount,
  CAST(COUNT(CASE WHEN is_member IS NULL THEN 1 END) AS BIGINT) AS unknown_count,
  MIN(CASE WHEN is_member THEN customer_id END, $sample) AS customer_ids
FROM previewed_customers
