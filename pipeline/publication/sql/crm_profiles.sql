-- The rows of crm_profiles with the number of the change that made each what it is: that of tonight, or the one it had.
SELECT
  r.customer_id,
  r.segments,
  r.audiences,
  r.next_action,
  r.next_action_title,
  r.next_action_text,
  r.next_action_promotion,
  r.next_action_product_offer,
  r.next_action_price,
  r.next_action_channel,
  r.next_action_service,
  r.next_action_priority,
  r.next_action_reason,
  r.next_action_since_date,
  r.language,
  r.predicted_spend_amount,
  r.predicted_date,
  r.first_order_date,
  r.last_order_date,
  r.is_consenting,
  r.is_member,
  r.removal_reason,
  r.arm,
  r.row_hash,
  COALESCE(c.changed_at, r.earlier_updated_at) AS updated_at,
  COALESCE(c.change_seq, r.earlier_seq) AS change_seq
FROM crm_profile_rows AS r
LEFT JOIN crm_changes AS c ON c.customer_id = r.customer_id AND c.list_kind IS NULL
ORDER BY r.customer_id
