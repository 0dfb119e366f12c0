-- Exact sums per customer and order-day, within each version of an event day.
-- A refund linked to its order counts for the order's day, but only from its own event day on.
-- $free_orders is 1 where an order whose lines were all free counts as an order; else it counts nowhere, and nor does giving it back.
WITH priced_lines AS (
  SELECT
    *,
    MAX(CASE WHEN line_kind = 'order' THEN net_amount END) OVER (PARTITION BY event_day, known_on, customer_id, order_id) AS dearest_amount
  FROM order_lines
  WHERE line_kind <> 'cancelled'
),
lines AS (
  SELECT *
  FROM priced_lines
  WHERE $free_orders = 1 OR (line_kind = 'order' AND dearest_amount > 0) OR (line_kind = 'refund' AND net_amount < 0)
)
SELECT
  event_day,
  known_on,
  customer_id,
  order_day,
  CAST(COUNT(DISTINCT CASE WHEN line_kind = 'order' THEN order_id END) AS BIGINT) AS order_count,
  CAST(SUM(CASE WHEN line_kind = 'order' THEN 1 ELSE 0 END) AS BIGINT) AS line_count,
  CAST(SUM(CASE WHEN line_kind = 'order' AND discount_amount IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS discount_known_line_count,
  CAST(SUM(CASE WHEN line_kind = 'order' AND discount_amount > 0 THEN 1 ELSE 0 END) AS BIGINT) AS discounted_line_count,
  CAST(SUM(CASE WHEN line_kind = 'order' AND net_amount > 0 AND 4 * net_amount <= dearest_amount THEN 1 ELSE 0 END) AS BIGINT) AS add_on_line_count,
  CAST(SUM(CASE WHEN line_kind = 'order' THEN net_amount ELSE 0 END) AS DECIMAL(18, 4)) AS order_amount,
  CAST(SUM(CASE WHEN line_kind = 'order' AND discount_amount IS NOT NULL THEN net_amount ELSE 0 END) AS DECIMAL(18, 4)) AS discount_known_amount,
  CAST(SUM(CASE WHEN line_kind = 'order' AND discount_amount = 0 THEN net_amount ELSE 0 END) AS DECIMAL(18, 4)) AS full_price_amount,
  CAST(SUM(CASE WHEN line_kind = 'order' THEN COALESCE(discount_amount, 0) ELSE 0 END) AS DECIMAL(18, 4)) AS discount_amount,
  CAST(SUM(CASE WHEN line_kind = 'refund' THEN -net_amount ELSE 0 END) AS DECIMAL(18, 4)) AS refund_amount
FROM lines
GROUP BY event_day, known_on, customer_id, order_day
ORDER BY event_day, known_on, customer_id, order_day
