-- Whole orders: the lines of an order, without what was cancelled or given back, added up.
SELECT
  customer_id,
  order_id,
  order_day,
  MIN(event_day) AS event_day,
  MIN(ordered_at) AS ordered_at,
  MIN(channel) AS channel,
  CAST(COUNT(*) AS BIGINT) AS line_count,
  NULLIF(CAST(COUNT(DISTINCT category) AS BIGINT), 0) AS category_count,
  CAST(SUM(quantity) AS DECIMAL(18, 4)) AS quantity,
  CAST(SUM(net_amount) AS DECIMAL(18, 4)) AS net_amount,
  CAST(SUM(discount_amount) AS DECIMAL(18, 4)) AS discount_amount
FROM order_lines
WHERE line_kind = 'order'
GROUP BY customer_id, order_id, order_day
