-- How many order lines of the window there are, and of how many the source gave each optional column; and how many visits.
WITH lines AS (
  SELECT
    CAST(COALESCE(SUM(line_count), 0) AS BIGINT) AS line_count,
    CAST(COALESCE(SUM(discount_known_line_count), 0) AS BIGINT) AS discount_amount,
    CAST(COALESCE(SUM(category_known_line_count), 0) AS BIGINT) AS category,
    CAST(COALESCE(SUM(channel_known_line_count), 0) AS BIGINT) AS channel
  FROM customer_states
),
visitors AS (
  SELECT CAST(COALESCE(SUM(visit_count), 0) AS BIGINT) AS visits
  FROM customer_visits
)
SELECT l.line_count, l.discount_amount, l.category, l.channel, v.visits
FROM lines AS l
CROSS JOIN visitors AS v
