-- Size, share and character of every defined segment; a segment with nobody in it has zeros.
WITH members AS (
  SELECT s.scheme, s.segment, f.spend_amount, f.recency_days, f.order_day_count, f.discount_known_line_count, f.discounted_line_count
  FROM customer_segments AS s
  JOIN customer_features AS f ON f.customer_id = s.customer_id
),
sums AS (
  SELECT
    scheme,
    segment,
    CAST(COUNT(*) AS BIGINT) AS customer_count,
    CAST(SUM(spend_amount) AS DECIMAL(18, 4)) AS spend_amount,
    CAST(SUM(recency_days) AS BIGINT) AS recency_sum,
    CAST(COUNT(recency_days) AS BIGINT) AS recency_count,
    CAST(SUM(order_day_count) AS BIGINT) AS order_day_sum,
    CAST(SUM(discount_known_line_count) AS BIGINT) AS line_sum,
    CAST(SUM(discounted_line_count) AS BIGINT) AS discounted_line_sum
  FROM members
  GROUP BY scheme, segment
),
scheme_sums AS (
  SELECT scheme, CAST(SUM(customer_count) AS BIGINT) AS customer_count, CAST(SUM(spend_amount) AS DECIMAL(18, 4)) AS spend_amount
  FROM sums
  GROUP BY scheme
)
SELECT
  d.scheme,
  d.segment,
  d.title,
  CAST(d.position AS BIGINT) AS position,
  COALESCE(s.customer_count, 0) AS customer_count,
  CASE WHEN a.customer_count > 0 THEN CAST(COALESCE(s.customer_count, 0) AS DOUBLE) / a.customer_count END AS customer_share,
  COALESCE(s.spend_amount, CAST(0 AS DECIMAL(18, 4))) AS spend_amount,
  CASE WHEN a.spend_amount > 0 THEN CAST(COALESCE(s.spend_amount, 0) AS DOUBLE) / CAST(a.spend_amount AS DOUBLE) END AS spend_share,
  CASE WHEN s.recency_count > 0 THEN CAST(s.recency_sum AS DOUBLE) / s.recency_count END AS mean_recency_days,
  CAST(s.order_day_sum AS DOUBLE) / s.customer_count AS mean_order_day_count,
  CAST(s.spend_amount AS DOUBLE) / s.customer_count AS mean_spend_amount,
  CASE WHEN s.line_sum > 0 THEN CAST(s.discounted_line_sum AS DOUBLE) / s.line_sum END AS discount_share
FROM defined_segments AS d
LEFT JOIN sums AS s ON s.scheme = d.scheme AND s.segment = d.segment
LEFT JOIN scheme_sums AS a ON a.scheme = d.scheme
ORDER BY d.scheme, d.segment
