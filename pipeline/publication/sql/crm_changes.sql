-- What readers have not seen yet, numbered on from $last_seq: a row for each profile that changed, and after it one for each list that
-- the customer entered or left. The first publication has none of these: crm_members says all of it.
WITH changed AS (
  SELECT
    r.customer_id,
    CASE
      WHEN NOT r.is_member THEN 'removed'
      WHEN COALESCE(r.was_member, FALSE) THEN 'changed'
      ELSE 'added'
    END AS change,
    CASE
      WHEN NOT r.is_member THEN r.removal_reason
      WHEN $reason <> '' THEN $reason
      WHEN r.was_member IS NULL THEN $added_reason
      WHEN NOT r.was_member THEN 'returned'
      WHEN e.arm IS DISTINCT FROM r.arm THEN 'campaign_change'
      WHEN e.last_order_date IS DISTINCT FROM r.last_order_date THEN 'own_purchase'
      WHEN e.is_consenting IS DISTINCT FROM r.is_consenting THEN 'consent_change'
      WHEN e.language IS DISTINCT FROM r.language THEN 'language_change'
      WHEN e.next_action IS DISTINCT FROM r.next_action OR e.next_action_since_date IS DISTINCT FROM r.next_action_since_date
        THEN 'next_action_change'
      WHEN e.next_action_reason IS DISTINCT FROM r.next_action_reason THEN 'evidence_change'
      WHEN e.segments IS DISTINCT FROM r.segments OR e.audiences IS DISTINCT FROM r.audiences THEN 'list_change'
      WHEN e.predicted_date IS DISTINCT FROM r.predicted_date THEN 'prediction_renewal'
      ELSE 'card_change'
    END AS reason
  FROM crm_profile_rows AS r
  LEFT JOIN earlier_profiles AS e ON e.customer_id = r.customer_id
  WHERE r.earlier_hash IS NULL OR r.row_hash <> r.earlier_hash
),
moves AS (
  SELECT customer_id, 'segment' AS list_kind, scheme || '.' || to_segment AS list_name, reason
  FROM segment_moves
  WHERE to_segment IS NOT NULL
  UNION ALL
  SELECT customer_id, 'segment' AS list_kind, scheme || '.' || from_segment AS list_name, reason
  FROM segment_moves
  WHERE from_segment IS NOT NULL
  UNION ALL
  SELECT customer_id, 'audience' AS list_kind, audience AS list_name, reason
  FROM audience_moves
),
reasons AS (
  SELECT customer_id, list_kind, list_name, MIN(reason) AS reason
  FROM moves
  GROUP BY customer_id, list_kind, list_name
),
lists AS (
  SELECT n.customer_id, 'added' AS change, n.list_kind, n.list_name
  FROM changed AS c
  JOIN crm_members AS n ON n.customer_id = c.customer_id
  LEFT JOIN earlier_members AS e
    ON e.customer_id = n.customer_id AND e.list_kind = n.list_kind AND e.list_name = n.list_name
  WHERE e.customer_id IS NULL AND NOT $is_first
  UNION ALL
  SELECT e.customer_id, 'removed' AS change, e.list_kind, e.list_name
  FROM changed AS c
  JOIN earlier_members AS e ON e.customer_id = c.customer_id
  LEFT JOIN crm_members AS n
    ON n.customer_id = e.customer_id AND n.list_kind = e.list_kind AND n.list_name = e.list_name
  WHERE n.customer_id IS NULL
),
told AS (
  SELECT customer_id, change, CAST(NULL AS VARCHAR) AS list_kind, CAST(NULL AS VARCHAR) AS list_name, reason
  FROM changed
  UNION ALL
  SELECT
    l.customer_id,
    l.change,
    l.list_kind,
    l.list_name,
    -- Of who comes or goes as a whole the profile says why.
    CASE WHEN c.change = 'changed' AND $reason = '' THEN COALESCE(r.reason, c.reason) ELSE c.reason END AS reason
  FROM lists AS l
  JOIN changed AS c ON c.customer_id = l.customer_id
  LEFT JOIN reasons AS r ON r.customer_id = l.customer_id AND r.list_kind = l.list_kind AND r.list_name = l.list_name
),
numbered AS (
  SELECT
    t.*,
    ROW_NUMBER() OVER (
      ORDER BY t.customer_id, COALESCE(t.list_kind, ''), COALESCE(t.list_name, ''), t.change
    ) AS place
  FROM told AS t
)
SELECT
  CAST($last_seq + n.place AS BIGINT) AS change_seq,
  n.customer_id,
  n.change,
  n.list_kind,
  n.list_name,
  n.reason,
  $changed_at AS changed_at
FROM numbered AS n
ORDER BY change_seq
