-- The search index (docs/decisions/0078, 0079): what waits for it, segments, their blocks. Run by sekisho_owner.

-- Messages that no segment has yet: one row per commit that brought some. Ids only, so without row-level security: the
-- indexer finds across tenants who waits. The row goes in the commit of the segment.
CREATE TABLE delivery.search_arrival (
  tenant uuid NOT NULL,
  first uuid NOT NULL,            -- the least of the messages
  at timestamptz NOT NULL DEFAULT now(),
  messages bytea NOT NULL,        -- ids, 16 octets each
  PRIMARY KEY (tenant, first)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
GRANT SELECT, INSERT, DELETE ON delivery.search_arrival TO sekisho_delivery;

-- A segment never changes once it is built; bigger ones take the place of small ones. Its id is a UUID version 7 of its
-- first message and all its messages are of one month: partitions of messages and of their index are dropped together.
CREATE TABLE delivery.search_segment (
  tenant uuid NOT NULL,
  id uuid NOT NULL,
  epoch int4 NOT NULL,            -- of the tenant's data key that the key of the token hashes is made from
  messages int4 NOT NULL,
  bits int4 NOT NULL,             -- it has 2^bits buckets
  first uuid NOT NULL,
  last uuid NOT NULL,
  fence bytea NOT NULL,           -- first 6 octets (milliseconds) of the first id of each page
  building bool NOT NULL DEFAULT false, -- its blocks are being written: nobody reads it
  PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
SELECT sekisho.protect('delivery.search_segment');
SELECT sekisho.partition('delivery.search_segment');
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.search_segment TO sekisho_delivery;

CREATE TABLE delivery.search_block (
  tenant uuid NOT NULL,
  segment uuid NOT NULL,
  bucket int4 NOT NULL,           -- from 0: tokens, sealed; below: page -1 - bucket of the messages' ids, plain
  data bytea NOT NULL,
  PRIMARY KEY (tenant, segment, bucket)
) PARTITION BY RANGE (segment);
ALTER TABLE delivery.search_block ALTER COLUMN data SET STORAGE EXTERNAL; -- sealed octets do not compress
SELECT sekisho.protect('delivery.search_block');
SELECT sekisho.partition('delivery.search_block', 'toast_tuple_target = 8160'); -- a block stays in its row
GRANT SELECT, INSERT, DELETE ON delivery.search_block TO sekisho_delivery;
