-- What the bank knew at $cutoff: deliveries received by then and not withdrawn by then ...
CREATE VIEW known_deliveries AS
SELECT *, min(received_at) OVER (PARTITION BY source, "table", period ORDER BY revision ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS counted
FROM deliveries WHERE received_at <= getvariable('cutoff') AND (withdrawn_at IS NULL OR withdrawn_at > getvariable('cutoff'));
-- ... and of those the ones that no full delivery of a higher revision of their feed has replaced.
CREATE VIEW standing AS
SELECT * FROM known_deliveries d WHERE NOT EXISTS (
    SELECT 1 FROM known_deliveries f WHERE f.mode = 'full' AND f.revision > d.revision
    AND (f.source, f."table", f.period) = (d.source, d."table", d.period));
