-- What is known of each customer's buying as of the end of $day: the state of each, seen from that day and among all others.
-- $is_discount_known and $is_category_known are 1 where some line of anybody's in the window says so: then who has no line has none of it.
WITH known_customers AS (
  SELECT customer_id, created_at FROM customers WHERE created_at IS NULL OR created_at < $day_end
),
joined AS (
  SELECT
    COALESCE(s.customer_id, k.customer_id) AS customer_id,
    s.customer_id IS NOT NULL AS has_history,
    s.first_order_date,
    s.last_order_date,
    COALESCE(s.lifetime_order_day_count, 0) AS lifetime_order_day_count,
    COALESCE(s.lifetime_order_count, 0) AS lifetime_order_count,
    COALESCE(s.lifetime_spend_amount, CAST(0 AS DECIMAL(18, 4))) AS lifetime_spend_amount,
    COALESCE(s.order_day_count, 0) AS order_day_count,
    COALESCE(s.order_count, 0) AS order_count,
    COALESCE(s.line_count, 0) AS line_count,
    COALESCE(s.discount_known_line_count, 0) AS discount_known_line_count,
    s.discounted_line_count,
    s.add_on_line_count,
    COALESCE(s.order_amount, CAST(0 AS DECIMAL(18, 4))) AS order_amount,
    s.discount_known_amount,
    s.full_price_amount,
    COALESCE(s.refund_amount, CAST(0 AS DECIMAL(18, 4))) AS refund_amount,
    CAST(COALESCE(s.order_amount - s.refund_amount, 0) AS DECIMAL(18, 4)) AS spend_amount,
    s.weekend_day_count,
    COALESCE(s.gap_count, 0) AS gap_count,
    s.gap_sum,
    s.gap_square_sum,
    s.last_gap_days,
    CAST(s.gap_median_doubled AS DOUBLE) / 2 AS gap_median_days,
    COALESCE(s.category_known_line_count, 0) AS category_known_line_count,
    s.category_count,
    s.favourite_category,
    s.line_count_square_sum,
    s.line_count_log_sum,
    s.later_count,
    s.new_count,
    s.channel_known_line_count,
    s.main_channel,
    s.main_channel_line_count,
    CASE WHEN k.created_at IS NOT NULL THEN k.created_at >= $frozen_day_end ELSE COALESCE(s.first_order_date > p.frozen_day, FALSE) END
      AS is_new_this_month,
    CAST(p.gap_q50_days AS DOUBLE) AS gap_q50_days,
    CAST(p.gap_q75_days AS DOUBLE) AS gap_q75_days,
    CAST(p.gap_q90_days AS DOUBLE) AS gap_q90_days,
    b.discount_known_line_count AS usual_line_count,
    b.discounted_line_count AS usual_discounted_line_count,
    b.new_category_share_q75,
    b.category_entropy_q75,
    b.add_on_share_q75,
    b.return_share_q75,
    b.conversion_share_q25,
    b.r_2_limit_days,
    b.r_3_limit_days,
    b.r_4_limit_days,
    b.r_5_limit_days,
    b.f_2_limit_count,
    b.f_3_limit_count,
    b.f_4_limit_count,
    b.f_5_limit_count,
    b.m_2_limit_amount,
    b.m_3_limit_amount,
    b.m_4_limit_amount,
    b.m_5_limit_amount,
    b.value_2_limit_amount,
    b.value_3_limit_amount,
    v.visit_count AS visit_count_90_days,
    v.order_day_count AS visitor_order_day_count
  FROM known_customers AS k
  FULL JOIN customer_states AS s ON s.customer_id = k.customer_id
  LEFT JOIN customer_visits AS v ON v.customer_id = COALESCE(s.customer_id, k.customer_id)
  CROSS JOIN population_rhythm AS p
  CROSS JOIN population_baselines AS b
),
-- What richer customers hold, and how many they are, is counted over the distinct amounts, so equal customers have the same shares.
amounts AS (
  SELECT
    CAST(order_amount - refund_amount AS DECIMAL(18, 4)) AS spend_amount,
    CAST(SUM(CASE WHEN order_amount > refund_amount THEN 1 ELSE 0 END) AS BIGINT) AS spender_count,
    CAST(SUM(CASE WHEN order_amount > refund_amount THEN order_amount - refund_amount ELSE 0 END) AS DECIMAL(38, 4)) AS held
  FROM customer_states
  GROUP BY CAST(order_amount - refund_amount AS DECIMAL(18, 4))
),
amount_ranks AS (
  SELECT
    spend_amount,
    CAST(COALESCE(SUM(held) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
      / NULLIF(CAST(SUM(held) OVER () AS DOUBLE), 0) AS value_rank_share,
    CAST(COALESCE(SUM(spender_count) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
      / NULLIF(CAST(SUM(spender_count) OVER () AS DOUBLE), 0) AS spend_rank_share
  FROM amounts
),
scored AS (
  -- Scores go by limits that were frozen on the month's first day. Who ordered only before the window scores 1, who never did has none.
  -- The own median gap counts from three gaps on, weighed against three gaps of the population.
  SELECT
    j.*,
    CASE WHEN j.gap_count >= 3 THEN (j.gap_count * j.gap_median_days + 3 * j.gap_q50_days) / (j.gap_count + 3) ELSE j.gap_q50_days END
      AS rhythm_days,
    CAST(
      CASE
        WHEN j.order_day_count > 0
          THEN CASE
            WHEN DATEDIFF('day', j.last_order_date, $day) > j.r_2_limit_days THEN 1
            WHEN DATEDIFF('day', j.last_order_date, $day) > j.r_3_limit_days THEN 2
            WHEN DATEDIFF('day', j.last_order_date, $day) > j.r_4_limit_days THEN 3
            WHEN DATEDIFF('day', j.last_order_date, $day) > j.r_5_limit_days THEN 4
            ELSE 5
          END
        WHEN j.lifetime_order_day_count > 0 THEN 1
      END AS BIGINT
    ) AS r_score,
    CAST(
      CASE
        WHEN j.order_day_count > 0
          THEN CASE
            WHEN j.order_day_count >= j.f_5_limit_count THEN 5
            WHEN j.order_day_count >= j.f_4_limit_count THEN 4
            WHEN j.order_day_count >= j.f_3_limit_count THEN 3
            WHEN j.order_day_count >= j.f_2_limit_count THEN 2
            ELSE 1
          END
        WHEN j.lifetime_order_day_count > 0 THEN 1
      END AS BIGINT
    ) AS f_score,
    CAST(
      CASE
        WHEN j.order_day_count > 0
          THEN CASE
            WHEN j.spend_amount >= j.m_5_limit_amount THEN 5
            WHEN j.spend_amount >= j.m_4_limit_amount THEN 4
            WHEN j.spend_amount >= j.m_3_limit_amount THEN 3
            WHEN j.spend_amount >= j.m_2_limit_amount THEN 2
            ELSE 1
          END
        WHEN j.lifetime_order_day_count > 0 THEN 1
      END AS BIGINT
    ) AS m_score,
    CAST(
      CASE
        WHEN j.spend_amount > 0
          THEN CASE
            WHEN j.spend_amount >= j.value_3_limit_amount THEN 3
            WHEN j.spend_amount >= j.value_2_limit_amount THEN 2
            ELSE 1
          END
      END AS BIGINT
    ) AS value_score,
    CASE WHEN j.spend_amount > 0 THEN m.value_rank_share END AS value_rank_share,
    CASE WHEN j.spend_amount > 0 THEN m.spend_rank_share END AS spend_rank_share
  FROM joined AS j
  LEFT JOIN amount_ranks AS m ON m.spend_amount = j.spend_amount
)
SELECT
  r.customer_id,
  NOT r.has_history AS is_prospect,
  r.has_history AND r.lifetime_order_day_count = 0 AS is_refund_only,
  r.first_order_date,
  r.last_order_date,
  CAST(DATEDIFF('day', r.last_order_date, $day) AS BIGINT) AS recency_days,
  CAST(DATEDIFF('day', r.first_order_date, $day) AS BIGINT) AS tenure_days,
  r.order_day_count,
  r.order_count,
  r.line_count,
  r.discount_known_line_count,
  CASE
    WHEN r.discount_known_line_count > 0 THEN r.discounted_line_count
    WHEN r.line_count = 0 AND $is_discount_known = 1 THEN 0
  END AS discounted_line_count,
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
  CASE WHEN r.discount_known_line_count > 0 THEN CAST(r.discounted_line_count AS DOUBLE) / r.discount_known_line_count END AS discount_share,
  -- Few lines say little: five lines as discounted as those of all customers are counted with the customer's own.
  CASE
    WHEN r.discount_known_line_count > 0 AND r.usual_line_count > 0
      THEN CAST(r.discounted_line_count * r.usual_line_count + 5 * r.usual_discounted_line_count AS DOUBLE)
        / CAST((r.discount_known_line_count + 5) * r.usual_line_count AS DOUBLE)
  END AS shrunk_discount_share,
  CASE WHEN r.usual_line_count > 0 THEN CAST(r.usual_discounted_line_count AS DOUBLE) / r.usual_line_count END AS discount_share_baseline,
  CASE
    WHEN r.discount_known_amount > 0 THEN CAST(r.full_price_amount AS DOUBLE) / CAST(r.discount_known_amount AS DOUBLE)
  END AS full_price_share,
  CASE WHEN r.order_amount > 0 THEN CAST(r.refund_amount AS DOUBLE) / CAST(r.order_amount AS DOUBLE) END AS return_share,
  r.return_share_q75,
  CASE WHEN r.order_day_count > 0 THEN CAST(r.weekend_day_count AS DOUBLE) / r.order_day_count END AS weekend_share,
  CASE
    WHEN r.category_known_line_count > 0 THEN r.category_count
    WHEN r.line_count = 0 AND $is_category_known = 1 THEN 0
  END AS category_count,
  r.favourite_category,
  CASE
    WHEN r.category_known_line_count > 0
      THEN CAST(r.line_count_square_sum AS DOUBLE) / CAST(r.category_known_line_count * r.category_known_line_count AS DOUBLE)
  END AS category_concentration,
  CASE WHEN r.later_count > 0 THEN CAST(r.new_count AS DOUBLE) / r.later_count END AS new_category_share,
  r.new_category_share_q75,
  CASE
    WHEN r.category_known_line_count > 0
      THEN CAST(
        CAST(FLOOR(r.category_known_line_count * LN(r.category_known_line_count) * 1000000 + 0.5) AS BIGINT) - r.line_count_log_sum AS DOUBLE
      ) / (r.category_known_line_count * 1000000)
  END AS category_entropy,
  r.category_entropy_q75,
  CASE WHEN r.line_count > 0 THEN CAST(r.add_on_line_count AS DOUBLE) / r.line_count END AS add_on_share,
  r.add_on_share_q75,
  r.main_channel,
  CASE WHEN r.channel_known_line_count > 0 THEN CAST(r.main_channel_line_count AS DOUBLE) / r.channel_known_line_count END AS main_channel_share,
  r.r_score,
  r.f_score,
  r.m_score,
  CAST(FLOOR(CAST(r.f_score + r.m_score + 1 AS DOUBLE) / 2) AS BIGINT) AS fm_score,
  r.value_score,
  r.r_2_limit_days,
  r.r_3_limit_days,
  r.r_4_limit_days,
  r.r_5_limit_days,
  r.f_2_limit_count,
  r.f_3_limit_count,
  r.f_4_limit_count,
  r.f_5_limit_count,
  r.m_2_limit_amount,
  r.m_3_limit_amount,
  r.m_4_limit_amount,
  r.m_5_limit_amount,
  r.value_2_limit_amount,
  r.value_3_limit_amount,
  r.last_gap_days,
  r.rhythm_days,
  r.gap_q50_days AS new_limit_days,
  r.gap_q75_days * r.rhythm_days / r.gap_q50_days AS active_limit_days,
  r.gap_q90_days * r.rhythm_days / r.gap_q50_days AS dormant_limit_days,
  r.value_rank_share,
  r.spend_rank_share,
  r.visit_count_90_days,
  CASE
    WHEN r.visitor_order_day_count < r.visit_count_90_days THEN CAST(r.visitor_order_day_count AS DOUBLE) / r.visit_count_90_days
    WHEN r.visit_count_90_days > 0 THEN 1
  END AS conversion_share,
  r.conversion_share_q25,
  r.is_new_this_month,
  CAST(EXTRACT(YEAR FROM $day) AS BIGINT) AS calendar_year,
  CAST($day AS DATE) AS as_of_date
FROM scored AS r
