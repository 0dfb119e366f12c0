-- What each customer bought of each category in a month of event days.
SELECT
  customer_id,
  category,
  MIN(order_day) AS first_day,
  CAST(SUM(category_day_count) AS BIGINT) AS day_count,
  CAST(SUM(line_count) AS BIGINT) AS line_count,
  CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount
FROM customer_day_categories
GROUP BY customer_id, category
ORDER BY customer_id, category
