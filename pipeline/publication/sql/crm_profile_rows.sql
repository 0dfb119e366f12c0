-- The rows of crm_profiles, each with what readers saw of the customer before. Numbers of changes come later: see crm_changes.
-- A prediction is kept while nothing else about the customer changes, until the first publication of another month: else nearly
-- every row would be another one every night. What the row is hashed by stands around it, `hashed_before` and `hashed_after`, and is
-- put in from the declaration; so is `stated_language`, which a company names.
WITH tonight AS (
  SELECT
    f.customer_id,
    COALESCE(s.names, '{}') AS segments,
    COALESCE(a.names, '[]') AS audiences,
    n.scheme || '.' || n.segment AS next_action,
    c.title AS next_action_title,
    c.message AS next_action_text,
    c.promotion AS next_action_promotion,
    c.product_offer AS next_action_product_offer,
    c.price AS next_action_price,
    c.channel AS next_action_channel,
    c.service AS next_action_service,
    n.priority AS next_action_priority,
    n.reason AS next_action_reason,
    n.since_date AS next_action_since_date,
    COALESCE(l.language, $language) AS language,
    CAST(ROUND(p.expected_spend_amount, 2) AS DECIMAL(18, 4)) AS predicted_spend_amount,
    CASE WHEN p.expected_spend_amount IS NOT NULL THEN CAST($day AS DATE) END AS predicted_date,
    f.first_order_date,
    f.last_order_date,
    g.is_consenting,
    r.names AS arm
  FROM customer_features AS f
  LEFT JOIN crm_contacts AS k ON k.customer_id = f.customer_id
  LEFT JOIN language_names AS l ON l.said = COALESCE(stated_language, k.language)
  LEFT JOIN segment_lists AS s ON s.customer_id = f.customer_id
  LEFT JOIN audience_lists AS a ON a.customer_id = f.customer_id
  LEFT JOIN arm_lists AS r ON r.customer_id = f.customer_id
  LEFT JOIN customer_next_actions AS n ON n.customer_id = f.customer_id
  LEFT JOIN segment_strategies AS c
    ON c.scheme = n.scheme AND c.segment = n.segment AND c.language = COALESCE(l.language, $language)
  LEFT JOIN customer_predictions AS p ON p.customer_id = f.customer_id
  LEFT JOIN standings AS g ON g.customer_id = f.customer_id
  WHERE g.removal_reason IS DISTINCT FROM 'consent_withdrawn'
),
compared AS (
  SELECT
    COALESCE(t.customer_id, e.customer_id) AS customer_id,
    t.segments,
    t.audiences,
    t.next_action,
    t.next_action_title,
    t.next_action_text,
    t.next_action_promotion,
    t.next_action_product_offer,
    t.next_action_price,
    t.next_action_channel,
    t.next_action_service,
    t.next_action_priority,
    t.next_action_reason,
    t.next_action_since_date,
    t.language,
    t.predicted_spend_amount,
    t.predicted_date,
    t.first_order_date,
    t.last_order_date,
    t.is_consenting AS stated_consent,
    t.customer_id IS NOT NULL AS is_member,
    CASE
      WHEN t.customer_id IS NOT NULL THEN NULL
      WHEN e.is_member THEN COALESCE(g.removal_reason, $left_reason)
      ELSE e.removal_reason
    END AS removal_reason,
    t.arm,
    e.predicted_spend_amount AS earlier_spend_amount,
    e.predicted_date AS earlier_predicted_date,
    e.is_member AS was_member,
    e.row_hash AS earlier_hash,
    e.updated_at AS earlier_updated_at,
    e.change_seq AS earlier_seq
  FROM tonight AS t
  FULL JOIN earlier_profiles AS e ON e.customer_id = t.customer_id
  LEFT JOIN standings AS g ON g.customer_id = e.customer_id
  -- The id of who was erased goes once readers have had the time to learn of it.
  WHERE t.customer_id IS NOT NULL OR e.removal_reason IS DISTINCT FROM 'erasure' OR e.updated_at >= $erased_since
),
consented AS (
  SELECT
    c.*,
    CASE WHEN c.is_member THEN c.stated_consent WHEN c.removal_reason = 'consent_withdrawn' THEN FALSE END AS is_consenting
  FROM compared AS c
),
texts AS (
  SELECT
    c.*,
    hashed_before AS text_before,
    hashed_prediction AS text_tonight,
    hashed_earlier_prediction AS text_earlier,
    hashed_after AS text_after
  FROM consented AS c
),
kept AS (
  SELECT
    t.*,
    t.is_member
    AND t.predicted_date IS NOT NULL
    AND t.earlier_predicted_date IS NOT NULL
    AND (t.earlier_predicted_date >= $month_start OR t.earlier_spend_amount = t.predicted_spend_amount)
    AND COALESCE(SHA256(t.text_before || t.text_earlier || t.text_after) = t.earlier_hash, FALSE) AS keeps_prediction
  FROM texts AS t
)
SELECT
  k.customer_id,
  k.segments,
  k.audiences,
  k.next_action,
  k.next_action_title,
  k.next_action_text,
  k.next_action_promotion,
  k.next_action_product_offer,
  k.next_action_price,
  k.next_action_channel,
  k.next_action_service,
  k.next_action_priority,
  k.next_action_reason,
  k.next_action_since_date,
  k.language,
  CASE WHEN k.keeps_prediction THEN k.earlier_spend_amount ELSE k.predicted_spend_amount END AS predicted_spend_amount,
  CASE WHEN k.keeps_prediction THEN k.earlier_predicted_date ELSE k.predicted_date END AS predicted_date,
  k.first_order_date,
  k.last_order_date,
  k.is_consenting,
  k.is_member,
  k.removal_reason,
  k.arm,
  CASE WHEN k.keeps_prediction THEN k.earlier_hash ELSE SHA256(k.text_before || k.text_tonight || k.text_after) END AS row_hash,
  k.was_member,
  k.earlier_hash,
  k.earlier_updated_at,
  k.earlier_seq
FROM kept AS k
ORDER BY k.customer_id
