-- What customers outside of a campaign had spent before it; who had spent nothing counts too.
SELECT
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(COALESCE(SUM(b.spend_amount), 0) AS DECIMAL(38, 4)) AS x,
  CAST(COALESCE(SUM(CAST(b.spend_amount AS DECIMAL(19, 4)) * b.spend_amount), 0) AS DECIMAL(38, 8)) AS xx
FROM known_customers AS k
LEFT JOIN campaign_people AS p ON p.customer_id = k.customer_id
LEFT JOIN unmeasured_customers AS u ON u.customer_id = k.customer_id
LEFT JOIN spend_before AS b ON b.customer_id = k.customer_id
WHERE p.customer_id IS NULL AND u.customer_id IS NULL
