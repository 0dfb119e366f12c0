-- Whole orders: the lines of an order as they were sold, added up. Cancelled lines are left out; what is given back later is not taken off.
-- Where a line does not say its category, product or discount, nobody knows what the order has of them: the others alone would be too few.
SELECT
  customer_id,
  order_id,
  order_day,
  MIN(event_day) AS event_day,
  MIN(ordered_at) AS ordered_at,
  MIN(channel) AS channel,
  CAST(COUNT(*) AS BIGINT) AS line_count,
  CASE WHEN COUNT(category) = COUNT(*) THEN CAST(COUNT(DISTINCT category) AS BIGINT) END AS category_count,
  CASE WHEN COUNT(category) = COUNT(*) THEN ARRAY_TO_STRING(LIST_SORT(ARRAY_AGG(DISTINCT REPLACE(category, '|', '/'))), '|') END AS categories,
  CASE WHEN COUNT(product_id) = COUNT(*) THEN ARRAY_TO_STRING(LIST_SORT(ARRAY_AGG(DISTINCT REPLACE(product_id, '|', '/'))), '|') END AS product_ids,
  CAST(SUM(quantity) AS DECIMAL(18, 4)) AS quantity,
  CAST(SUM(net_amount) AS DECIMAL(18, 4)) AS net_amount,
  CASE WHEN COUNT(discount_amount) = COUNT(*) THEN CAST(SUM(discount_amount) AS DECIMAL(18, 4)) END AS discount_amount
FROM order_lines
WHERE line_kind = 'order'
GROUP BY customer_id, order_id, order_day
