-- What is known of each customer's buying as of the end of $day.
-- Window figures cover $window_first_day to $day, lifetime figures everything before.
WITH daily AS (
  SELECT
    customer_id,
    order_day,
    CAST(SUM(order_count) AS BIGINT) AS order_count,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(discounted_line_count) AS BIGINT) AS discounted_line_count,
    CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(full_price_amount) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(SUM(refund_amount) AS DECIMAL(18, 4)) AS refund_amount,
    CASE WHEN order_day >= $window_first_day THEN 1 ELSE 0 END AS in_window
  FROM customer_days
  WHERE day <= $day AND order_day <= $day
  GROUP BY customer_id, order_day
),
totals AS (
  SELECT
    customer_id,
    MIN(CASE WHEN line_count > 0 THEN order_day END) AS first_order_date,
    MAX(CASE WHEN line_count > 0 THEN order_day END) AS last_order_date,
    CAST(SUM(CASE WHEN line_count > 0 THEN 1 ELSE 0 END) AS BIGINT) AS lifetime_order_day_count,
    CAST(SUM(order_count) AS BIGINT) AS lifetime_order_count,
    CAST(SUM(order_amount - refund_amount) AS DECIMAL(18, 4)) AS lifetime_spend_amount,
    CAST(SUM(CASE WHEN line_count > 0 THEN in_window ELSE 0 END) AS BIGINT) AS order_day_count,
    CAST(SUM(in_window * order_count) AS BIGINT) AS order_count,
    CAST(SUM(in_window * line_count) AS BIGINT) AS line_count,
    CAST(SUM(in_window * discounted_line_count) AS BIGINT) AS discounted_line_count,
    CAST(SUM(CASE WHEN in_window = 1 THEN order_amount ELSE 0 END) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(CASE WHEN in_window = 1 THEN full_price_amount ELSE 0 END) AS DECIMAL(18, 4)) AS full_price_amount,
    CAST(SUM(CASE WHEN in_window = 1 THEN refund_amount ELSE 0 END) AS DECIMAL(18, 4)) AS refund_amount,
    CAST(SUM(CASE WHEN line_count > 0 AND DATEDIFF('day', CAST('1970-01-05' AS DATE), order_day) % 7 >= 5 THEN in_window ELSE 0 END) AS BIGINT)
      AS weekend_day_count
  FROM daily
  GROUP BY customer_id
),
order_days AS (
  SELECT
    customer_id,
    order_day,
    DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS gap_days,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY order_day DESC) AS days_from_last
  FROM daily
  WHERE line_count > 0
),
ranked_gaps AS (
  SELECT
    customer_id,
    gap_days,
    days_from_last,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY gap_days, order_day) AS gap_rank,
    COUNT(*) OVER (PARTITION BY customer_id) AS gap_count
  FROM order_days
  WHERE gap_days IS NOT NULL
),
gaps AS (
  SELECT
    customer_id,
    CAST(MAX(gap_count) AS BIGINT) AS gap_count,
    CAST(SUM(gap_days) AS BIGINT) AS gap_sum,
    CAST(SUM(gap_days * gap_days) AS BIGINT) AS gap_square_sum,
    CAST(SUM(CASE WHEN 2 * gap_rank BETWEEN gap_count AND gap_count + 2 THEN gap_days ELSE 0 END) AS BIGINT) AS middle_gap_sum,
    CAST(SUM(CASE WHEN 2 * gap_rank BETWEEN gap_count AND gap_count + 2 THEN 1 ELSE 0 END) AS BIGINT) AS middle_gap_count,
    CAST(MAX(CASE WHEN days_from_last = 1 THEN gap_days END) AS BIGINT) AS last_gap_days
  FROM ranked_gaps
  GROUP BY customer_id
),
category_days AS (
  SELECT
    customer_id,
    category,
    order_day,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount,
    CASE WHEN order_day = MIN(order_day) OVER (PARTITION BY customer_id, category) THEN 1 ELSE 0 END AS is_first_of_category,
    CASE WHEN order_day = MIN(order_day) OVER (PARTITION BY customer_id) THEN 1 ELSE 0 END AS is_first_of_customer
  FROM customer_day_categories
  WHERE day <= $day AND order_day <= $day
  GROUP BY customer_id, category, order_day
),
categories AS (
  SELECT
    customer_id,
    category,
    CAST(COUNT(*) AS BIGINT) AS day_count,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(order_amount) AS DECIMAL(18, 4)) AS order_amount,
    CAST(SUM(1 - is_first_of_customer) AS BIGINT) AS later_count,
    CAST(SUM((1 - is_first_of_customer) * is_first_of_category) AS BIGINT) AS new_count
  FROM category_days
  WHERE order_day >= $window_first_day
  GROUP BY customer_id, category
),
ranked_categories AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY day_count DESC, order_amount DESC, category) AS category_rank
  FROM categories
),
category_mix AS (
  SELECT
    customer_id,
    CAST(COUNT(*) AS BIGINT) AS category_count,
    MAX(CASE WHEN category_rank = 1 THEN category END) AS favourite_category,
    CAST(SUM(line_count * line_count) AS BIGINT) AS line_count_square_sum,
    CAST(SUM(line_count) AS BIGINT) AS line_count,
    CAST(SUM(later_count) AS BIGINT) AS later_count,
    CAST(SUM(new_count) AS BIGINT) AS new_count
  FROM ranked_categories
  GROUP BY customer_id
),
channels AS (
  SELECT customer_id, channel, CAST(SUM(line_count) AS BIGINT) AS line_count
  FROM customer_day_categories
  WHERE day <= $day AND order_day BETWEEN $window_first_day AND $day
  GROUP BY customer_id, channel
),
ranked_channels AS (
  SELECT
    customer_id,
    channel,
    line_count,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY line_count DESC, channel) AS channel_rank
  FROM channels
),
channel_mix AS (
  SELECT customer_id, channel AS main_channel, line_count AS main_channel_line_count
  FROM ranked_channels
  WHERE channel_rank = 1
),
known_customers AS (
  SELECT customer_id FROM customers WHERE created_at IS NULL OR created_at < $day_end
  UNION
  SELECT customer_id FROM daily
),
joined AS (
  SELECT
    k.customer_id,
    t.first_order_date,
    t.last_order_date,
    COALESCE(t.lifetime_order_day_count, 0) AS lifetime_order_day_count,
    COALESCE(t.lifetime_order_count, 0) AS lifetime_order_count,
    COALESCE(t.lifetime_spend_amount, CAST(0 AS DECIMAL(18, 4))) AS lifetime_spend_amount,
    COALESCE(t.order_day_count, 0) AS order_day_count,
    COALESCE(t.order_count, 0) AS order_count,
    COALESCE(t.line_count, 0) AS line_count,
    COALESCE(t.discounted_line_count, 0) AS discounted_line_count,
    COALESCE(t.order_amount, CAST(0 AS DECIMAL(18, 4))) AS order_amount,
    COALESCE(t.full_price_amount, CAST(0 AS DECIMAL(18, 4))) AS full_price_amount,
    COALESCE(t.refund_amount, CAST(0 AS DECIMAL(18, 4))) AS refund_amount,
    CAST(COALESCE(t.order_amount - t.refund_amount, 0) AS DECIMAL(18, 4)) AS spend_amount,
    t.weekend_day_count,
    COALESCE(g.gap_count, 0) AS gap_count,
    g.gap_sum,
    g.gap_square_sum,
    g.last_gap_days,
    CAST(g.middle_gap_sum AS DOUBLE) / g.middle_gap_count AS gap_median_days,
    COALESCE(c.category_count, 0) AS category_count,
    c.favourite_category,
    c.line_count_square_sum,
    c.later_count,
    c.new_count,
    h.main_channel,
    h.main_channel_line_count,
    CAST(p.gap_q50_days AS DOUBLE) AS gap_q50_days,
    CAST(p.gap_q75_days AS DOUBLE) AS gap_q75_days,
    CAST(p.gap_q90_days AS DOUBLE) AS gap_q90_days
  FROM known_customers AS k
  LEFT JOIN totals AS t ON t.customer_id = k.customer_id
  LEFT JOIN gaps AS g ON g.customer_id = k.customer_id
  LEFT JOIN category_mix AS c ON c.customer_id = k.customer_id
  LEFT JOIN channel_mix AS h ON h.customer_id = k.customer_id
  CROSS JOIN population_rhythm AS p
),
rhythms AS (
  -- The own median gap counts from three gaps on, weighed against three gaps of the population.
  SELECT
    *,
    CASE WHEN gap_count >= 3 THEN (gap_count * gap_median_days + 3 * gap_q50_days) / (gap_count + 3) ELSE gap_q50_days END AS rhythm_days
  FROM joined
),
buyer_ranks AS (
  -- Ties share the lowest rank, so equal customers score the same: percent_rank_min.
  SELECT
    customer_id,
    RANK() OVER (ORDER BY last_order_date) AS r_rank,
    RANK() OVER (ORDER BY order_day_count) AS f_rank,
    RANK() OVER (ORDER BY spend_amount) AS m_rank,
    COUNT(*) OVER () AS buyer_count
  FROM joined
  WHERE order_day_count > 0
),
scores AS (
  SELECT
    customer_id,
    CAST(1 + FLOOR(CAST(5 * (r_rank - 1) AS DOUBLE) / buyer_count) AS BIGINT) AS r_score,
    CAST(1 + FLOOR(CAST(5 * (f_rank - 1) AS DOUBLE) / buyer_count) AS BIGINT) AS f_score,
    CAST(1 + FLOOR(CAST(5 * (m_rank - 1) AS DOUBLE) / buyer_count) AS BIGINT) AS m_score
  FROM buyer_ranks
),
all_scores AS (
  -- Who ordered only before the window scores 1; who never ordered has no score.
  SELECT
    j.customer_id,
    CASE WHEN j.lifetime_order_day_count > 0 THEN COALESCE(s.r_score, 1) END AS r_score,
    CASE WHEN j.lifetime_order_day_count > 0 THEN COALESCE(s.f_score, 1) END AS f_score,
    CASE WHEN j.lifetime_order_day_count > 0 THEN COALESCE(s.m_score, 1) END AS m_score
  FROM joined AS j
  LEFT JOIN scores AS s ON s.customer_id = j.customer_id
),
amounts AS (
  SELECT spend_amount, CAST(SUM(spend_amount) AS DECIMAL(38, 4)) AS held
  FROM joined
  WHERE spend_amount > 0
  GROUP BY spend_amount
),
richer AS (
  SELECT
    spend_amount,
    CAST(COALESCE(SUM(held) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
      / CAST(SUM(held) OVER () AS DOUBLE) AS value_rank_share
  FROM amounts
)
SELECT
  r.customer_id,
  r.lifetime_order_day_count = 0 AS is_prospect,
  r.first_order_date,
  r.last_order_date,
  CAST(DATEDIFF('day', r.last_order_date, $day) AS BIGINT) AS recency_days,
  CAST(DATEDIFF('day', r.first_order_date, $day) AS BIGINT) AS tenure_days,
  r.order_day_count,
  r.order_count,
  r.line_count,
  r.discounted_line_count,
  r.spend_amount,
  r.refund_amount,
  r.lifetime_order_day_count,
  r.lifetime_order_count,
  r.lifetime_spend_amount,
  CASE WHEN r.order_count > 0 THEN CAST(r.spend_amount AS DOUBLE) / r.order_count END AS average_order_amount,
  r.gap_count,
  CASE WHEN r.gap_count > 0 THEN CAST(r.gap_sum AS DOUBLE) / r.gap_count END AS gap_mean_days,
  r.gap_median_days,
  CASE
    WHEN r.gap_count > 1
      THEN SQRT(CAST(r.gap_count * r.gap_square_sum - r.gap_sum * r.gap_sum AS DOUBLE) / (r.gap_count * (r.gap_count - 1)))
        / (CAST(r.gap_sum AS DOUBLE) / r.gap_count)
  END AS gap_variation,
  CASE WHEN r.line_count > 0 THEN CAST(r.discounted_line_count AS DOUBLE) / r.line_count END AS discount_share,
  CASE WHEN r.order_amount > 0 THEN CAST(r.full_price_amount AS DOUBLE) / CAST(r.order_amount AS DOUBLE) END AS full_price_share,
  CASE WHEN r.order_amount > 0 THEN CAST(r.refund_amount AS DOUBLE) / CAST(r.order_amount AS DOUBLE) END AS return_share,
  CASE WHEN r.order_day_count > 0 THEN CAST(r.weekend_day_count AS DOUBLE) / r.order_day_count END AS weekend_share,
  r.category_count,
  r.favourite_category,
  CASE
    WHEN r.line_count > 0 THEN CAST(r.line_count_square_sum AS DOUBLE) / CAST(r.line_count * r.line_count AS DOUBLE)
  END AS category_concentration,
  CASE WHEN r.later_count > 0 THEN CAST(r.new_count AS DOUBLE) / r.later_count END AS new_category_share,
  r.main_channel,
  CASE WHEN r.line_count > 0 THEN CAST(r.main_channel_line_count AS DOUBLE) / r.line_count END AS main_channel_share,
  s.r_score,
  s.f_score,
  s.m_score,
  CAST(FLOOR(CAST(s.f_score + s.m_score + 1 AS DOUBLE) / 2) AS BIGINT) AS fm_score,
  r.last_gap_days,
  r.rhythm_days,
  r.gap_q50_days AS new_limit_days,
  r.gap_q75_days * r.rhythm_days / r.gap_q50_days AS active_limit_days,
  r.gap_q90_days * r.rhythm_days / r.gap_q50_days AS dormant_limit_days,
  CASE WHEN r.spend_amount > 0 THEN v.value_rank_share END AS value_rank_share
FROM rhythms AS r
JOIN all_scores AS s ON s.customer_id = r.customer_id
LEFT JOIN richer AS v ON v.spend_amount = r.spend_amount
