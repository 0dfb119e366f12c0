-- Each customer's arm: within a stratum the places are cut where the quotas say.
SELECT s.customer_id, q.arm, q.is_control, s.stratum, s.segment, s.spend_amount
FROM campaign_strata AS s
JOIN arm_quotas AS q ON q.stratum = s.stratum AND s.place > q.after_place AND s.place <= q.until_place
ORDER BY s.customer_id
