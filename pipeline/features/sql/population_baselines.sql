-- What is usual among customers as of the frozen day. A quantile is a figure that occurred: the lowest one that at least that share
-- of those who have any, with three orders in the window or three visits, do not exceed.
WITH figures AS (
  SELECT
    CASE WHEN later_count > 0 THEN CAST(new_count AS DOUBLE) / later_count END AS new_category_share,
    CASE
      WHEN category_known_line_count > 0
        THEN CAST(
          CAST(FLOOR(category_known_line_count * LN(category_known_line_count) * 1000000 + 0.5) AS BIGINT) - line_count_log_sum AS DOUBLE
        ) / (category_known_line_count * 1000000)
    END AS category_entropy,
    CASE WHEN line_count > 0 THEN CAST(add_on_line_count AS DOUBLE) / line_count END AS add_on_share,
    CASE WHEN order_amount > 0 THEN CAST(refund_amount AS DOUBLE) / CAST(order_amount AS DOUBLE) END AS return_share
  FROM customer_states
  WHERE order_count >= 3
),
places AS (
  SELECT
    new_category_share,
    COUNT(new_category_share) OVER (ORDER BY new_category_share NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS new_category_share_place,
    COUNT(new_category_share) OVER () AS new_category_share_count,
    category_entropy,
    COUNT(category_entropy) OVER (ORDER BY category_entropy NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS category_entropy_place,
    COUNT(category_entropy) OVER () AS category_entropy_count,
    add_on_share,
    COUNT(add_on_share) OVER (ORDER BY add_on_share NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS add_on_share_place,
    COUNT(add_on_share) OVER () AS add_on_share_count,
    return_share,
    COUNT(return_share) OVER (ORDER BY return_share NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS return_share_place,
    COUNT(return_share) OVER () AS return_share_count
  FROM figures
),
quantiles AS (
  SELECT
    MIN(CASE WHEN 4 * new_category_share_place >= 3 * new_category_share_count THEN new_category_share END) AS new_category_share_q75,
    MIN(CASE WHEN 4 * category_entropy_place >= 3 * category_entropy_count THEN category_entropy END) AS category_entropy_q75,
    MIN(CASE WHEN 4 * add_on_share_place >= 3 * add_on_share_count THEN add_on_share END) AS add_on_share_q75,
    MIN(CASE WHEN 4 * return_share_place >= 3 * return_share_count THEN return_share END) AS return_share_q75
  FROM places
),
conversions AS (
  SELECT CASE WHEN order_day_count < visit_count THEN CAST(order_day_count AS DOUBLE) / visit_count ELSE 1 END AS conversion_share
  FROM customer_visits
  WHERE visit_count >= 3
),
conversion_places AS (
  SELECT
    conversion_share,
    COUNT(conversion_share) OVER (ORDER BY conversion_share NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS conversion_share_place,
    COUNT(conversion_share) OVER () AS conversion_share_count
  FROM conversions
),
conversion_quantile AS (
  SELECT MIN(CASE WHEN 4 * conversion_share_place >= conversion_share_count THEN conversion_share END) AS conversion_share_q25
  FROM conversion_places
),
lines AS (
  SELECT
    CAST(COALESCE(SUM(line_count), 0) AS BIGINT) AS line_count,
    CAST(COALESCE(SUM(discount_known_line_count), 0) AS BIGINT) AS discount_known_line_count,
    CAST(COALESCE(SUM(discounted_line_count), 0) AS BIGINT) AS discounted_line_count,
    CAST(COALESCE(SUM(category_known_line_count), 0) AS BIGINT) AS category_known_line_count,
    MIN(first_order_date) AS first_order_date
  FROM customer_states
)
SELECT
  $frozen_day AS frozen_day,
  l.line_count,
  l.discount_known_line_count,
  l.discounted_line_count,
  l.category_known_line_count,
  q.new_category_share_q75,
  q.category_entropy_q75,
  q.add_on_share_q75,
  q.return_share_q75,
  c.conversion_share_q25,
  s.buyer_count,
  l.first_order_date,
  $frozen_day AS limits_day,
  CAST(DATEDIFF('day', s.r_2_after_date, $frozen_day) - 1 AS BIGINT) AS r_2_limit_days,
  CAST(DATEDIFF('day', s.r_3_after_date, $frozen_day) - 1 AS BIGINT) AS r_3_limit_days,
  CAST(DATEDIFF('day', s.r_4_after_date, $frozen_day) - 1 AS BIGINT) AS r_4_limit_days,
  CAST(DATEDIFF('day', s.r_5_after_date, $frozen_day) - 1 AS BIGINT) AS r_5_limit_days,
  s.f_2_limit_count,
  s.f_3_limit_count,
  s.f_4_limit_count,
  s.f_5_limit_count,
  s.m_2_limit_amount,
  s.m_3_limit_amount,
  s.m_4_limit_amount,
  s.m_5_limit_amount,
  s.value_2_limit_amount,
  s.value_3_limit_amount
FROM lines AS l
CROSS JOIN quantiles AS q
CROSS JOIN conversion_quantile AS c
-- Stands for the statement of that name, over these states.
CROSS JOIN score_limits AS s
