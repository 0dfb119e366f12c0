-- Each value of an attribute with its place, the most frequent first, and the share of customers whose values are more frequent.
-- Values that equally many customers have share one rank.
WITH counts AS (
  SELECT value, COUNT(*) AS customer_count
  FROM attribute_values
  WHERE value <> ''
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
SELECT c.value, c.customer_count, ROW_NUMBER() OVER (ORDER BY c.customer_count DESC, c.value) AS place, s.rank_share
FROM counts AS c
JOIN shares AS s ON s.customer_count = c.customer_count
