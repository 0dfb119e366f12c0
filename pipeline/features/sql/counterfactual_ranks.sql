-- The shares of richer customers, and of what they hold, of each customer if the spend of this one alone were as in counterfactual_spends, and
-- everybody else's as it is.
WITH amounts AS (
  SELECT
    spend_amount,
    CAST(SUM(CASE WHEN spend_amount > 0 THEN spend_amount ELSE 0 END) AS DECIMAL(38, 4)) AS held,
    CAST(SUM(CASE WHEN spend_amount > 0 THEN 1 ELSE 0 END) AS BIGINT) AS spender_count
  FROM everybody
  GROUP BY spend_amount
  UNION ALL
  SELECT DISTINCT spend_amount, CAST(0 AS DECIMAL(38, 4)) AS held, CAST(0 AS BIGINT) AS spender_count
  FROM counterfactual_spends
),
summed AS (
  SELECT spend_amount, CAST(SUM(held) AS DECIMAL(38, 4)) AS held, CAST(SUM(spender_count) AS BIGINT) AS spender_count
  FROM amounts
  GROUP BY spend_amount
),
ranks AS (
  SELECT
    spend_amount,
    CAST(COALESCE(SUM(held) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DECIMAL(38, 4))
      AS richer_amount,
    CAST(SUM(held) OVER () AS DECIMAL(38, 4)) AS total_amount,
    CAST(COALESCE(SUM(spender_count) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS BIGINT)
      AS richer_count,
    CAST(SUM(spender_count) OVER () AS BIGINT) AS total_count
  FROM summed
),
shares AS (
  -- What the customer really spent counts for nobody here.
  SELECT
    c.customer_id,
    c.spend_amount,
    r.richer_amount - CASE WHEN e.spend_amount > c.spend_amount AND e.spend_amount > 0 THEN e.spend_amount ELSE 0 END AS richer_amount,
    r.total_amount - CASE WHEN e.spend_amount > 0 THEN e.spend_amount ELSE 0 END + c.spend_amount AS total_amount,
    r.richer_count - CASE WHEN e.spend_amount > c.spend_amount AND e.spend_amount > 0 THEN 1 ELSE 0 END AS richer_count,
    r.total_count - CASE WHEN e.spend_amount > 0 THEN 1 ELSE 0 END + 1 AS total_count
  FROM counterfactual_spends AS c
  JOIN everybody AS e ON e.customer_id = c.customer_id
  JOIN ranks AS r ON r.spend_amount = c.spend_amount
)
SELECT
  customer_id,
  CASE WHEN spend_amount > 0 THEN CAST(richer_amount AS DOUBLE) / NULLIF(CAST(total_amount AS DOUBLE), 0) END AS value_rank_share,
  CASE WHEN spend_amount > 0 THEN CAST(richer_count AS DOUBLE) / NULLIF(CAST(total_count AS DOUBLE), 0) END AS spend_rank_share
FROM shares
ORDER BY customer_id
