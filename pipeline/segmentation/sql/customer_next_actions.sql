-- Of each customer's cards that fit, the one with the lowest card_order. A card fits whose assumption is what the card of the
-- customer's lifecycle assumes; one for the late fits those who are gone, too. Where the lifecycle assumes nothing, as of a prospect,
-- no card that assumes anything fits.
WITH cards AS (
  SELECT scheme, segment, title, description, priority, budget_share, assumes, card_order
  FROM segment_strategies
  WHERE language = $language AND card_order IS NOT NULL
),
rhythms AS (
  SELECT s.customer_id, c.assumes
  FROM customer_segments AS s
  JOIN cards AS c ON c.scheme = s.scheme AND c.segment = s.segment
  WHERE s.scheme = 'lifecycle'
),
chosen AS (
  SELECT s.customer_id, MIN(c.card_order) AS card_order
  FROM customer_segments AS s
  JOIN cards AS c ON c.scheme = s.scheme AND c.segment = s.segment
  LEFT JOIN rhythms AS r ON r.customer_id = s.customer_id
  WHERE c.assumes IS NULL OR c.assumes = r.assumes OR (c.assumes = 'late' AND r.assumes = 'gone')
  GROUP BY s.customer_id
)
SELECT
  s.customer_id,
  s.scheme,
  s.segment,
  c.priority,
  CAST(
    CAST(CASE WHEN f.spend_amount > 0 THEN f.spend_amount WHEN f.lifetime_spend_amount > 0 THEN f.lifetime_spend_amount ELSE 0 END AS DECIMAL(19, 4))
      * CAST(CASE WHEN c.assumes IN ('late', 'gone') THEN 1 ELSE c.budget_share END AS DECIMAL(5, 4))
    AS DECIMAL(18, 4)
  ) AS stake_amount,
  c.title || COALESCE(': ' || c.description, '') || COALESCE(' (' || s.evidence || ')', '') AS reason
FROM chosen AS n
JOIN cards AS c ON c.card_order = n.card_order
JOIN customer_segments AS s ON s.customer_id = n.customer_id AND s.scheme = c.scheme AND s.segment = c.segment
JOIN customer_features AS f ON f.customer_id = n.customer_id
ORDER BY s.customer_id
