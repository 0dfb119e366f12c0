-- Discrete quantiles of the completed gaps between order-days, as of the frozen day: each is a gap that occurred.
-- customer_archives hold the event days before $archived_before; the rollups here are those from then on.
WITH order_days AS (
  SELECT customer_id, order_day
  FROM customer_days
  WHERE event_day BETWEEN $archived_before AND $frozen_day AND line_count > 0
  UNION ALL
  SELECT customer_id, last_order_date AS order_day
  FROM customer_archives
  WHERE last_order_date IS NOT NULL
),
gaps AS (
  SELECT CAST(DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS BIGINT) AS gap_days
  FROM order_days
  UNION ALL
  SELECT UNNEST(gaps) AS gap_days
  FROM customer_archives
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
