-- SPDX-License-Identifier: MIT
-- keeper owns no data. What it was asked, by whom and from where, is on the record like every other read.
CREATE SCHEMA keeper;
GRANT USAGE ON SCHEMA keeper TO sekisho_keeper;
SELECT sekisho.make_audit_intent('keeper', 'sekisho_keeper');
