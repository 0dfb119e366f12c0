-- How many lines each customer ordered through each channel in a month of event days.
SELECT
  customer_id,
  channel,
  CAST(SUM(line_count) AS BIGINT) AS line_count
FROM customer_day_categories
GROUP BY customer_id, channel
ORDER BY customer_id, channel
