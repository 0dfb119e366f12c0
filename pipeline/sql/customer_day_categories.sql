-- Exact counts per customer, order-day, category and channel, within each version of an event day.
SELECT
  day,
  known,
  customer_id,
  order_day,
  category,
  channel,
  CAST(COUNT(*) AS BIGINT) AS line_count,
  CAST(SUM(net_amount) AS DECIMAL(18, 4)) AS order_amount
FROM order_lines
WHERE line_kind = 'order'
GROUP BY day, known, customer_id, order_day, category, channel
ORDER BY day, known, customer_id, order_day, category, channel
