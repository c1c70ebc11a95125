-- SPDX-License-Identifier: MIT
-- Rows that have done their service are deleted by ingest itself, tenant by tenant.
CREATE INDEX idempotency_age ON ingest.idempotency (tenant, accepted_at);
CREATE INDEX poison_age ON ingest.poison (tenant, last_at);
GRANT DELETE ON ingest.idempotency, ingest.poison TO sekisho_ingest;
