-- What each customer's buying adds up to as of the end of $day, in dates and exact numbers that do not depend on how
-- long ago they were. Window figures cover $window_first_day to $day, lifetime figures everything before.
-- customer_archives hold the event days before $archived_before; the rollups here are those from then on: whole months that lie in the
-- window added up in customer_months and its like, all other event days as they are.
WITH spans AS (
  SELECT
    customer_id,
    order_day AS first_day,
    CASE WHEN line_count > 0 THEN order_day END AS first_order_date,
    CASE WHEN line_count > 0 THEN order_day END AS last_order_date,
    CAST(CASE WHEN line_count > 0 THEN 1 ELSE 0 END AS BIGINT) AS order_day_count,
    CAST(CASE WHEN line_count > 0 AND DATEDIFF('day', CAST('1970-01-05' AS DATE), order_day) % 7 >= 5 THEN 1 ELSE 0 END AS BIGINT)
      AS weekend_day_count,
    order_count,
    line_count,
    discounted_line_count,
    add_on_line_count,
    order_amount,
    full_price_amount,
    refund_amount
  FROM customer_days
  WHERE day BETWEEN $archived_before AND $day
  UNION ALL
  SELECT
    customer_id,
    first_day,
    first_order_date,
    last_order_date,
    order_day_count,
    weekend_day_count,
    order_count,
    line_count,
    discounted_line_count,
    add_on_line_count,
    order_amount,
    full_price_amount,
    refund_amount
  FROM customer_months
),
recent_totals AS (
  SELECT
    customer_id,
    MIN(first_order_date) AS first_order_date,
    MAX(last_order_date) AS last_order_date,
    MIN(CASE WHEN first_day >= $window_first_day THEN first_day END) AS window_first_order_date,
    CAST(SUM(order_day_count) AS BIGINT) AS lifetime_order_day_count,
    CAST(SUM(order_count) AS BIGINT) AS lifetime_order_count,
    CAST(SUM(order_amount) - SUM(refund_amount) AS DECIMAL(18, 4)) AS lifetime_spend_amount,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN order_day_count ELSE 0 END) AS BIGINT) AS order_day_count,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN order_count ELSE 0 END) AS BIGINT) AS order_count,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN line_count ELSE 0 END) AS BIGINT) AS line_count,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN discounted_line_count ELSE 0 END) AS BIGINT) AS discounted_line_count,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN add_on_line_count ELSE 0 END) AS BIGINT) AS add_on_line_count,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN order_amount ELSE 0 END) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN full_price_amount ELSE 0 END) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN refund_amount ELSE 0 END) AS DECIMAL(18, 4)) AS refund_amount,
    CAST(SUM(CASE WHEN first_day >= $window_first_day THEN weekend_day_count ELSE 0 END) AS BIGINT) AS weekend_day_count
  FROM spans
  GROUP BY customer_id
),
totals AS (
  SELECT
    COALESCE(r.customer_id, a.customer_id) AS customer_id,
    COALESCE(a.first_order_date, r.first_order_date) AS first_order_date,
    COALESCE(r.last_order_date, a.last_order_date) AS last_order_date,
    r.window_first_order_date,
    COALESCE(r.lifetime_order_day_count, 0) + COALESCE(a.order_day_count, 0) AS lifetime_order_day_count,
    COALESCE(r.lifetime_order_count, 0) + COALESCE(a.order_count, 0) AS lifetime_order_count,
    CAST(COALESCE(r.lifetime_spend_amount, 0) + COALESCE(a.spend_amount, 0) AS DECIMAL(18, 4)) AS lifetime_spend_amount,
    COALESCE(r.order_day_count, 0) AS order_day_count,
    COALESCE(r.order_count, 0) AS order_count,
    COALESCE(r.line_count, 0) AS line_count,
    COALESCE(r.discounted_line_count, 0) AS discounted_line_count,
    COALESCE(r.add_on_line_count, 0) AS add_on_line_count,
    CAST(COALESCE(r.order_amount, 0) AS DECIMAL(18, 4)) AS order_amount,
    CAST(COALESCE(r.full_price_amount, 0) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(COALESCE(r.refund_amount, 0) AS DECIMAL(18, 4)) AS refund_amount,
    COALESCE(r.weekend_day_count, 0) AS weekend_day_count,
    a.last_gap_days AS archived_last_gap_days
  FROM recent_totals AS r
  FULL JOIN customer_archives AS a ON a.customer_id = r.customer_id
),
bounds AS (
  SELECT customer_id, order_day AS first_order_date, order_day AS last_order_date, CAST(NULL AS BIGINT) AS last_gap_days
  FROM customer_days
  WHERE day BETWEEN $archived_before AND $day AND line_count > 0
  UNION ALL
  SELECT customer_id, first_order_date, last_order_date, last_gap_days
  FROM customer_months
  WHERE order_day_count > 0
  UNION ALL
  SELECT customer_id, last_order_date AS first_order_date, last_order_date, CAST(NULL AS BIGINT) AS last_gap_days
  FROM customer_archives
  WHERE last_order_date IS NOT NULL
),
waits AS (
  SELECT
    customer_id,
    first_order_date,
    last_gap_days,
    CAST(DATEDIFF('day', LAG(last_order_date) OVER (PARTITION BY customer_id ORDER BY first_order_date), first_order_date) AS BIGINT) AS gap_days
  FROM bounds
),
all_gaps AS (
  SELECT customer_id, first_order_date, gap_days, COALESCE(last_gap_days, gap_days) AS last_gap_days
  FROM waits
  WHERE gap_days IS NOT NULL OR last_gap_days IS NOT NULL
  UNION ALL
  SELECT customer_id, NULL AS first_order_date, UNNEST(gaps) AS gap_days, NULL AS last_gap_days FROM customer_months
  UNION ALL
  SELECT customer_id, NULL AS first_order_date, UNNEST(gaps) AS gap_days, NULL AS last_gap_days FROM customer_archives
),
gaps AS (
  SELECT
    customer_id,
    CAST(SUM(gap_days * gap_days) AS BIGINT) AS gap_square_sum,
    CAST(2 * MEDIAN(gap_days) AS BIGINT) AS gap_median_doubled,
    ARG_MAX(last_gap_days, first_order_date) AS last_gap_days
  FROM all_gaps
  GROUP BY customer_id
),
category_spans AS (
  SELECT
    customer_id,
    category,
    order_day AS first_day,
    CASE WHEN order_day >= $window_first_day THEN category_day_count ELSE 0 END AS day_count,
    CASE WHEN order_day >= $window_first_day THEN line_count ELSE 0 END AS line_count,
    CASE WHEN order_day >= $window_first_day THEN order_amount ELSE 0 END AS order_amount
  FROM customer_day_categories
  WHERE day BETWEEN $archived_before AND $day
  UNION ALL
  SELECT customer_id, category, first_day, day_count, line_count, order_amount
  FROM customer_month_categories
),
categories AS (
  SELECT
    customer_id,
    category,
    MIN(first_day) AS first_day,
    CAST(SUM(day_count) AS BIGINT) AS day_count,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount
  FROM category_spans
  GROUP BY customer_id, category
),
category_mix AS (
  SELECT
    c.customer_id,
    CAST(COUNT(*) AS BIGINT) AS category_count,
    ARG_MIN(c.category, {'days': -c.day_count, 'amount': -c.order_amount, 'name': c.category}) AS favourite_category,
    CAST(SUM(c.line_count * c.line_count) AS BIGINT) AS line_count_square_sum,
    -- In whole millionths, so that the sum is exact in whatever order it is taken.
    CAST(SUM(CASE WHEN c.line_count > 0 THEN CAST(FLOOR(c.line_count * LN(c.line_count) * 1000000 + 0.5) AS BIGINT) ELSE 0 END) AS BIGINT)
      AS line_count_log_sum,
    CAST(SUM(c.day_count - CASE WHEN c.first_day = t.first_order_date AND c.first_day >= $window_first_day THEN 1 ELSE 0 END) AS BIGINT)
      AS later_count,
    CAST(
      SUM(
        CASE
          WHEN c.first_day > t.first_order_date AND c.first_day >= $window_first_day AND NOT COALESCE(ARRAY_CONTAINS(a.categories, c.category), FALSE)
            THEN 1
          ELSE 0
        END
      ) AS BIGINT
    ) AS new_count
  FROM categories AS c
  JOIN totals AS t ON t.customer_id = c.customer_id
  LEFT JOIN customer_archives AS a ON a.customer_id = c.customer_id
  WHERE c.day_count > 0
  GROUP BY c.customer_id
),
channel_spans AS (
  SELECT customer_id, channel, line_count
  FROM customer_day_categories
  WHERE day BETWEEN $window_first_day AND $day
  UNION ALL
  SELECT customer_id, channel, line_count
  FROM customer_month_channels
),
channels AS (
  SELECT customer_id, channel, CAST(SUM(line_count) AS BIGINT) AS line_count
  FROM channel_spans
  GROUP BY customer_id, channel
),
channel_mix AS (
  SELECT
    customer_id,
    ARG_MIN(channel, {'lines': -line_count, 'name': channel}) AS main_channel,
    MAX(line_count) AS main_channel_line_count
  FROM channels
  WHERE line_count > 0
  GROUP BY customer_id
)
SELECT
  t.customer_id,
  t.first_order_date,
  t.last_order_date,
  t.window_first_order_date,
  t.lifetime_order_day_count,
  t.lifetime_order_count,
  t.lifetime_spend_amount,
  t.order_day_count,
  t.order_count,
  t.line_count,
  t.discounted_line_count,
  t.add_on_line_count,
  t.order_amount,
  t.full_price_amount,
  t.refund_amount,
  t.weekend_day_count,
  GREATEST(t.lifetime_order_day_count - 1, 0) AS gap_count,
  COALESCE(CAST(DATEDIFF('day', t.first_order_date, t.last_order_date) AS BIGINT), 0) AS gap_sum,
  COALESCE(g.gap_square_sum, 0) AS gap_square_sum,
  g.gap_median_doubled,
  COALESCE(g.last_gap_days, t.archived_last_gap_days) AS last_gap_days,
  COALESCE(c.category_count, 0) AS category_count,
  c.favourite_category,
  COALESCE(c.line_count_square_sum, 0) AS line_count_square_sum,
  COALESCE(c.line_count_log_sum, 0) AS line_count_log_sum,
  COALESCE(c.later_count, 0) AS later_count,
  COALESCE(c.new_count, 0) AS new_count,
  h.main_channel,
  COALESCE(h.main_channel_line_count, 0) AS main_channel_line_count
FROM totals AS t
LEFT JOIN gaps AS g ON g.customer_id = t.customer_id
LEFT JOIN category_mix AS c ON c.customer_id = t.customer_id
LEFT JOIN channel_mix AS h ON h.customer_id = t.customer_id
