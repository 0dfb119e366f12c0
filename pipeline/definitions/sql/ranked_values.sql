-- Each value of an attribute with its place, the most frequent first, its place by spend, and the share of customers whose values are
-- more frequent. Values that equally many customers have share one rank. What says that nothing is known is no value.
WITH counts AS (
  SELECT value, COUNT(*) AS customer_count, CAST(SUM(spend_amount) AS DECIMAL(38, 4)) AS spend_amount
  FROM attribute_values
  WHERE TRIM(value) <> '' AND LOWER(TRIM(value)) NOT IN ('other', 'unknown')
  GROUP BY value
),
ranks AS (
  SELECT customer_count, SUM(customer_count) AS held
  FROM counts
  GROUP BY customer_count
),
shares AS (
  SELECT
    customer_count,
    CAST(COALESCE(SUM(held) OVER (ORDER BY customer_count DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
      / CAST(SUM(held) OVER () AS DOUBLE) AS rank_share
  FROM ranks
)
SELECT
  c.value,
  c.customer_count,
  ROW_NUMBER() OVER (ORDER BY c.customer_count DESC, c.value) AS place,
  CASE WHEN c.spend_amount > 0 THEN ROW_NUMBER() OVER (ORDER BY c.spend_amount DESC, c.customer_count DESC, c.value) END AS spend_place,
  s.rank_share
FROM counts AS c
JOIN shares AS s ON s.customer_count = c.customer_count
