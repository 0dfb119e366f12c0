-- Size of each audience that anybody is in, and of one without anybody, whose name is empty.
WITH everybody AS (
  SELECT CAST(COUNT(*) AS BIGINT) AS customer_count, CAST(COALESCE(SUM(spend_amount), 0) AS DECIMAL(18, 4)) AS spend_amount
  FROM customer_features
),
sums AS (
  SELECT m.audience, CAST(COUNT(*) AS BIGINT) AS customer_count, CAST(SUM(f.spend_amount) AS DECIMAL(18, 4)) AS spend_amount
  FROM audience_members AS m
  JOIN customer_features AS f ON f.customer_id = m.customer_id
  GROUP BY m.audience
  UNION ALL
  SELECT '' AS audience, CAST(0 AS BIGINT) AS customer_count, CAST(0 AS DECIMAL(18, 4)) AS spend_amount
)
SELECT
  s.audience,
  s.customer_count,
  CASE WHEN e.customer_count > 0 THEN CAST(s.customer_count AS DOUBLE) / e.customer_count END AS customer_share,
  s.spend_amount,
  CASE WHEN e.spend_amount > 0 THEN CAST(s.spend_amount AS DOUBLE) / CAST(e.spend_amount AS DOUBLE) END AS spend_share
FROM sums AS s
CROSS JOIN everybody AS e
ORDER BY s.audience
