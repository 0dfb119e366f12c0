-- What each customer's days add up to in the month of event days that begins on $month_first_day: one row for order-days in it,
-- and one for each earlier order-day that a refund of this month is linked to, as such a day may leave the window before the month.
WITH days AS (
  SELECT
    customer_id,
    order_day,
    CASE WHEN order_day >= $month_first_day THEN $month_first_day ELSE order_day END AS counted_from,
    order_count,
    line_count,
    discounted_line_count,
    add_on_line_count,
    order_amount,
    full_price_amount,
    refund_amount
  FROM customer_days
),
totals AS (
  SELECT
    customer_id,
    MIN(order_day) AS first_day,
    MIN(CASE WHEN line_count > 0 THEN order_day END) AS first_order_date,
    MAX(CASE WHEN line_count > 0 THEN order_day END) AS last_order_date,
    CAST(COUNT(CASE WHEN line_count > 0 THEN 1 END) AS BIGINT) AS order_day_count,
    CAST(COUNT(CASE WHEN line_count > 0 AND DATEDIFF('day', CAST('1970-01-05' AS DATE), order_day) % 7 >= 5 THEN 1 END) AS BIGINT)
      AS weekend_day_count,
    CAST(SUM(order_count) AS BIGINT) AS order_count,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(discounted_line_count) AS BIGINT) AS discounted_line_count,
    CAST(SUM(add_on_line_count) AS BIGINT) AS add_on_line_count,
    CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(full_price_amount) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(SUM(refund_amount) AS DECIMAL(18, 4)) AS refund_amount
  FROM days
  GROUP BY customer_id, counted_from
),
waits AS (
  SELECT
    customer_id,
    order_day,
    CAST(DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS BIGINT) AS gap_days
  FROM customer_days
  WHERE line_count > 0
),
gaps AS (
  SELECT customer_id, ARRAY_AGG(gap_days) AS gaps, ARG_MAX(gap_days, order_day) AS last_gap_days
  FROM waits
  WHERE gap_days IS NOT NULL
  GROUP BY customer_id
)
SELECT
  t.customer_id,
  t.first_day,
  t.first_order_date,
  t.last_order_date,
  t.order_day_count,
  t.weekend_day_count,
  t.order_count,
  t.line_count,
  t.discounted_line_count,
  t.add_on_line_count,
  t.order_amount,
  t.full_price_amount,
  t.refund_amount,
  g.gaps,
  g.last_gap_days
FROM totals AS t
LEFT JOIN gaps AS g ON g.customer_id = t.customer_id AND t.order_day_count > 0
ORDER BY t.customer_id, t.first_day
