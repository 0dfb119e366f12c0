-- What a data engineer writes without us: features of every customer in one statement over the order lines.
WITH lines AS (
  SELECT customer_id, order_day, order_id, net_amount, discount_amount, category, channel, line_kind
  FROM order_lines
  WHERE line_kind <> 'cancelled'
),
totals AS (
  SELECT
    customer_id,
    MIN(order_day) AS first_order_date,
    MAX(order_day) AS last_order_date,
    CAST(COUNT(DISTINCT order_day) AS BIGINT) AS order_day_count,
    CAST(COUNT(DISTINCT order_id) AS BIGINT) AS order_count,
    CAST(COUNT(*) AS BIGINT) AS line_count,
    SUM(CASE WHEN discount_amount > 0 THEN 1 ELSE 0 END) AS discounted_line_count,
    COUNT(DISTINCT CASE WHEN DATEDIFF('day', CAST('1970-01-05' AS DATE), order_day) % 7 >= 5 THEN order_day END) AS weekend_day_count
  FROM lines
  WHERE line_kind = 'order'
  GROUP BY customer_id
),
money AS (
  SELECT
    customer_id,
    CAST(SUM(net_amount) AS DECIMAL(18, 4)) AS spend_amount,
    CAST(SUM(CASE WHEN line_kind = 'refund' THEN -net_amount ELSE 0 END) AS DECIMAL(18, 4)) AS refund_amount
  FROM lines
  GROUP BY customer_id
),
order_days AS (
  SELECT DISTINCT customer_id, order_day
  FROM lines
  WHERE line_kind = 'order'
),
gap_rows AS (
  SELECT customer_id, DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS gap_days
  FROM order_days
),
gaps AS (
  SELECT customer_id, AVG(gap_days) AS gap_mean_days, STDDEV_SAMP(gap_days) AS gap_deviation_days, MEDIAN(gap_days) AS gap_median_days
  FROM gap_rows
  GROUP BY customer_id
),
categories AS (
  SELECT customer_id, category, COUNT(DISTINCT order_day) AS day_count, COUNT(*) AS line_count, SUM(net_amount) AS amount
  FROM lines
  WHERE line_kind = 'order'
  GROUP BY customer_id, category
),
ranked_categories AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY day_count DESC, amount DESC, category) AS place
  FROM categories
),
category_mix AS (
  SELECT
    customer_id,
    CAST(COUNT(*) AS BIGINT) AS category_count,
    MAX(CASE WHEN place = 1 THEN category END) AS favourite_category,
    CAST(SUM(line_count * line_count) AS DOUBLE) / (SUM(line_count) * SUM(line_count)) AS category_concentration
  FROM ranked_categories
  GROUP BY customer_id
),
channels AS (
  SELECT customer_id, channel, COUNT(*) AS line_count
  FROM lines
  WHERE line_kind = 'order'
  GROUP BY customer_id, channel
),
ranked_channels AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY line_count DESC, channel) AS place
  FROM channels
)
SELECT
  t.customer_id,
  t.first_order_date,
  t.last_order_date,
  t.order_day_count,
  t.order_count,
  t.line_count,
  m.spend_amount,
  m.refund_amount,
  CAST(t.discounted_line_count AS DOUBLE) / t.line_count AS discount_share,
  CAST(t.weekend_day_count AS DOUBLE) / t.order_day_count AS weekend_share,
  g.gap_mean_days,
  g.gap_deviation_days,
  g.gap_median_days,
  c.category_count,
  c.favourite_category,
  c.category_concentration,
  h.channel AS main_channel,
  CAST(h.line_count AS DOUBLE) / t.line_count AS main_channel_share,
  NTILE(5) OVER (ORDER BY t.last_order_date, t.customer_id) AS r_score,
  NTILE(5) OVER (ORDER BY t.order_day_count, t.customer_id) AS f_score,
  NTILE(5) OVER (ORDER BY m.spend_amount, t.customer_id) AS m_score
FROM totals AS t
JOIN money AS m ON m.customer_id = t.customer_id
JOIN gaps AS g ON g.customer_id = t.customer_id
JOIN category_mix AS c ON c.customer_id = t.customer_id
JOIN ranked_channels AS h ON h.customer_id = t.customer_id AND h.place = 1
ORDER BY t.customer_id
