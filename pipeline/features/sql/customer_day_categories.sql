-- Exact counts per customer, order-day, category and channel, within each version of an event day.
-- $free_orders is 1 where an order whose lines were all free counts as an order.
WITH priced_lines AS (
  SELECT *, MAX(net_amount) OVER (PARTITION BY event_day, known_on, customer_id, order_id) AS dearest_amount
  FROM order_lines
  WHERE line_kind = 'order'
),
sums AS (
  SELECT
    event_day,
    known_on,
    customer_id,
    order_day,
    category,
    channel,
    CAST(COUNT(*) AS BIGINT) AS line_count,
    CAST(SUM(net_amount) AS DECIMAL(18, 4)) AS order_amount
  FROM priced_lines
  WHERE $free_orders = 1 OR dearest_amount > 0
  GROUP BY event_day, known_on, customer_id, order_day, category, channel
),
neighbours AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY event_day, known_on, customer_id, order_day, category ORDER BY channel) AS channel_number
  FROM sums
)
SELECT
  event_day,
  known_on,
  customer_id,
  order_day,
  category,
  channel,
  CAST(CASE WHEN channel_number = 1 THEN 1 ELSE 0 END AS BIGINT) AS category_day_count,
  line_count,
  order_amount
FROM neighbours
ORDER BY event_day, known_on, customer_id, order_day, category, channel
