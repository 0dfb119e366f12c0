-- What each customer's buying adds up to as of the end of $day, in dates and exact numbers that do not depend on how
-- long ago they were. Window figures cover $window_first_day to $day, lifetime figures everything before.
-- customer_archives hold the event days before $archived_before; the rollups here are those from then on.
WITH days AS (
  SELECT
    customer_id,
    order_day,
    order_count,
    line_count,
    discount_known_line_count,
    discounted_line_count,
    add_on_line_count,
    order_amount,
    discount_known_amount,
    full_price_amount,
    refund_amount,
    order_day >= $window_first_day AS is_in_window,
    line_count > 0 AS is_order_day,
    line_count > 0 AND DATEDIFF('day', CAST('1970-01-05' AS DATE), order_day) % 7 >= 5 AS is_weekend_day
  FROM customer_days
  WHERE event_day BETWEEN $archived_before AND $day
),
recent_totals AS (
  SELECT
    customer_id,
    MIN(CASE WHEN is_order_day THEN order_day END) AS first_order_date,
    MAX(CASE WHEN is_order_day THEN order_day END) AS last_order_date,
    MIN(CASE WHEN is_in_window THEN order_day END) AS window_first_order_date,
    CAST(SUM(CASE WHEN is_order_day THEN 1 ELSE 0 END) AS BIGINT) AS lifetime_order_day_count,
    CAST(SUM(order_count) AS BIGINT) AS lifetime_order_count,
    CAST(SUM(order_amount) - SUM(refund_amount) AS DECIMAL(18, 4)) AS lifetime_spend_amount,
    CAST(SUM(CASE WHEN is_in_window AND is_order_day THEN 1 ELSE 0 END) AS BIGINT) AS order_day_count,
    CAST(SUM(CASE WHEN is_in_window THEN order_count ELSE 0 END) AS BIGINT) AS order_count,
    CAST(SUM(CASE WHEN is_in_window THEN line_count ELSE 0 END) AS BIGINT) AS line_count,
    CAST(SUM(CASE WHEN is_in_window THEN discount_known_line_count ELSE 0 END) AS BIGINT) AS discount_known_line_count,
    CAST(SUM(CASE WHEN is_in_window THEN discounted_line_count ELSE 0 END) AS BIGINT) AS discounted_line_count,
    CAST(SUM(CASE WHEN is_in_window THEN add_on_line_count ELSE 0 END) AS BIGINT) AS add_on_line_count,
    CAST(SUM(CASE WHEN is_in_window THEN order_amount ELSE 0 END) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(CASE WHEN is_in_window THEN discount_known_amount ELSE 0 END) AS DECIMAL(18, 4)) AS discount_known_amount,
    CAST(SUM(CASE WHEN is_in_window THEN full_price_amount ELSE 0 END) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(SUM(CASE WHEN is_in_window THEN refund_amount ELSE 0 END) AS DECIMAL(18, 4)) AS refund_amount,
    CAST(SUM(CASE WHEN is_in_window AND is_weekend_day THEN 1 ELSE 0 END) AS BIGINT) AS weekend_day_count
  FROM days
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
    COALESCE(r.discount_known_line_count, 0) AS discount_known_line_count,
    COALESCE(r.discounted_line_count, 0) AS discounted_line_count,
    COALESCE(r.add_on_line_count, 0) AS add_on_line_count,
    CAST(COALESCE(r.order_amount, 0) AS DECIMAL(18, 4)) AS order_amount,
    CAST(COALESCE(r.discount_known_amount, 0) AS DECIMAL(18, 4)) AS discount_known_amount,
    CAST(COALESCE(r.full_price_amount, 0) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(COALESCE(r.refund_amount, 0) AS DECIMAL(18, 4)) AS refund_amount,
    COALESCE(r.weekend_day_count, 0) AS weekend_day_count,
    a.last_gap_days AS archived_last_gap_days
  FROM recent_totals AS r
  FULL JOIN customer_archives AS a ON a.customer_id = r.customer_id
),
order_days AS (
  SELECT customer_id, order_day FROM days WHERE is_order_day
  UNION ALL
  SELECT customer_id, last_order_date AS order_day FROM customer_archives WHERE last_order_date IS NOT NULL
),
waits AS (
  SELECT
    customer_id,
    order_day,
    CAST(DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS BIGINT) AS gap_days
  FROM order_days
),
all_gaps AS (
  SELECT customer_id, order_day, gap_days FROM waits WHERE gap_days IS NOT NULL
  UNION ALL
  SELECT customer_id, NULL AS order_day, UNNEST(gaps) AS gap_days FROM customer_archives
),
gaps AS (
  SELECT
    customer_id,
    CAST(SUM(gap_days * gap_days) AS BIGINT) AS gap_square_sum,
    CAST(2 * MEDIAN(gap_days) AS BIGINT) AS gap_median_doubled,
    ARG_MAX(gap_days, order_day) AS last_gap_days
  FROM all_gaps
  GROUP BY customer_id
),
categories AS (
  SELECT
    customer_id,
    category,
    MIN(order_day) AS first_day,
    CAST(SUM(CASE WHEN order_day >= $window_first_day THEN category_day_count ELSE 0 END) AS BIGINT) AS day_count,
    CAST(SUM(CASE WHEN order_day >= $window_first_day THEN line_count ELSE 0 END) AS BIGINT) AS line_count,
    CAST(SUM(CASE WHEN order_day >= $window_first_day THEN order_amount ELSE 0 END) AS DECIMAL(18, 4)) AS order_amount
  FROM customer_day_categories
  WHERE event_day BETWEEN $archived_before AND $day AND category IS NOT NULL
  GROUP BY customer_id, category
),
ranked_categories AS (
  -- Days decide, then the amount. An amount is below a thousand million millions, so both are one number, which is cheaper to compare.
  SELECT *, CAST(day_count AS DECIMAL(10, 0)) * 1000000000000000 + order_amount AS rank_key
  FROM categories
),
first_categories AS (
  SELECT customer_id, MIN(first_day) AS first_known_day, MAX(rank_key) AS first_rank_key
  FROM ranked_categories
  GROUP BY customer_id
),
known_categories AS (
  -- What was bought on the first day with a known category cannot be told to be new; nor does it count as not new.
  SELECT
    c.*,
    f.first_rank_key,
    a.categories AS archived_categories,
    CASE WHEN a.categories IS NULL THEN f.first_known_day END AS first_known_day
  FROM ranked_categories AS c
  JOIN first_categories AS f ON f.customer_id = c.customer_id
  LEFT JOIN customer_archives AS a ON a.customer_id = c.customer_id
),
category_mix AS (
  SELECT
    c.customer_id,
    CAST(SUM(c.line_count) AS BIGINT) AS category_known_line_count,
    CAST(COUNT(*) AS BIGINT) AS category_count,
    MIN(CASE WHEN c.rank_key = c.first_rank_key THEN c.category END) AS favourite_category,
    CAST(SUM(c.line_count * c.line_count) AS BIGINT) AS line_count_square_sum,
    -- In whole millionths, so that the sum is exact in whatever order it is taken.
    CAST(SUM(CASE WHEN c.line_count > 0 THEN CAST(FLOOR(c.line_count * LN(c.line_count) * 1000000 + 0.5) AS BIGINT) ELSE 0 END) AS BIGINT)
      AS line_count_log_sum,
    CAST(SUM(c.day_count - CASE WHEN c.first_day = c.first_known_day AND c.first_day >= $window_first_day THEN 1 ELSE 0 END) AS BIGINT)
      AS later_count,
    CAST(
      SUM(
        CASE
          WHEN (c.first_known_day IS NULL OR c.first_day > c.first_known_day)
            AND c.first_day >= $window_first_day
            AND NOT COALESCE(ARRAY_CONTAINS(c.archived_categories, c.category), FALSE)
            THEN 1
          ELSE 0
        END
      ) AS BIGINT
    ) AS new_count
  FROM known_categories AS c
  WHERE c.day_count > 0
  GROUP BY c.customer_id
),
channels AS (
  SELECT customer_id, channel, CAST(SUM(line_count) AS BIGINT) AS line_count
  FROM customer_day_categories
  WHERE event_day BETWEEN $window_first_day AND $day AND channel IS NOT NULL
  GROUP BY customer_id, channel
),
channel_mix AS (
  SELECT
    customer_id,
    CAST(SUM(line_count) AS BIGINT) AS channel_known_line_count,
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
  t.discount_known_line_count,
  t.discounted_line_count,
  t.add_on_line_count,
  t.order_amount,
  t.discount_known_amount,
  t.full_price_amount,
  t.refund_amount,
  t.weekend_day_count,
  GREATEST(t.lifetime_order_day_count - 1, 0) AS gap_count,
  COALESCE(CAST(DATEDIFF('day', t.first_order_date, t.last_order_date) AS BIGINT), 0) AS gap_sum,
  COALESCE(g.gap_square_sum, 0) AS gap_square_sum,
  g.gap_median_doubled,
  COALESCE(g.last_gap_days, t.archived_last_gap_days) AS last_gap_days,
  COALESCE(c.category_known_line_count, 0) AS category_known_line_count,
  COALESCE(c.category_count, 0) AS category_count,
  c.favourite_category,
  COALESCE(c.line_count_square_sum, 0) AS line_count_square_sum,
  COALESCE(c.line_count_log_sum, 0) AS line_count_log_sum,
  COALESCE(c.later_count, 0) AS later_count,
  COALESCE(c.new_count, 0) AS new_count,
  COALESCE(h.channel_known_line_count, 0) AS channel_known_line_count,
  h.main_channel,
  COALESCE(h.main_channel_line_count, 0) AS main_channel_line_count
FROM totals AS t
LEFT JOIN gaps AS g ON g.customer_id = t.customer_id
LEFT JOIN category_mix AS c ON c.customer_id = t.customer_id
LEFT JOIN channel_mix AS h ON h.customer_id = t.customer_id
