-- The people of a campaign with what they had spent before, under whichever of their ids they were listed.
SELECT p.customer_id, p.arm, COALESCE(p.segment, s.segment) AS segment, COALESCE(b.spend_amount, 0) AS spend_amount
FROM people_without_spend AS p
LEFT JOIN strata_segments AS s ON s.customer_id = p.customer_id
LEFT JOIN spend_before AS b ON b.customer_id = p.customer_id
