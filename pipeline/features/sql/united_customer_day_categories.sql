-- The rollups by category of merged customers as those of the survivors; a category bought by several ids on a day counts for one day.
WITH sums AS (
  SELECT
    d.event_day,
    d.known_on,
    s.survivor_id AS customer_id,
    d.order_day,
    d.category,
    d.channel,
    CAST(SUM(d.line_count) AS BIGINT) AS line_count,
    CAST(SUM(d.order_amount) AS DECIMAL(18, 4)) AS order_amount
  FROM customer_day_categories_by_source_id AS d
  JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  GROUP BY d.event_day, d.known_on, s.survivor_id, d.order_day, d.category, d.channel
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
