-- Discrete quantiles of the completed gaps between order-days, as of the frozen day: each is a gap that occurred.
WITH order_days AS (
  SELECT customer_id, order_day
  FROM customer_days
  WHERE day <= $frozen_day AND order_day <= $frozen_day
  GROUP BY customer_id, order_day
  HAVING SUM(line_count) > 0
),
gaps AS (
  SELECT
    DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS gap_days
  FROM order_days
),
counted AS (
  SELECT gap_days, COUNT(*) AS gap_count
  FROM gaps
  WHERE gap_days IS NOT NULL
  GROUP BY gap_days
),
cumulated AS (
  SELECT
    gap_days,
    SUM(gap_count) OVER (ORDER BY gap_days ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS count_so_far,
    SUM(gap_count) OVER () AS gap_count
  FROM counted
)
SELECT
  $frozen_day AS frozen_day,
  CAST(COALESCE(MAX(gap_count), 0) AS BIGINT) AS gap_count,
  CAST(MIN(CASE WHEN 2 * count_so_far >= gap_count THEN gap_days END) AS BIGINT) AS gap_q50_days,
  CAST(MIN(CASE WHEN 4 * count_so_far >= 3 * gap_count THEN gap_days END) AS BIGINT) AS gap_q75_days,
  CAST(MIN(CASE WHEN 10 * count_so_far >= 9 * gap_count THEN gap_days END) AS BIGINT) AS gap_q90_days
FROM cumulated
