"""Published versions cannot change, whoever asks; knowledge keeps its own search columns."""

from django.db import migrations

# A version's content may change while it is a draft. After that only its state moves between
# published and retired (`created_by_id` is let go so that a user can be erased).
IMMUTABLE_VERSIONS = """
CREATE FUNCTION agents_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    free text[] := ARRAY['state', 'updated_at', 'created_by_id'];
BEGIN
    IF OLD.state = 'draft' THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        IF NEW.state IN ('draft', 'published') THEN RETURN NEW; END IF;
    ELSIF TG_OP = 'UPDATE' AND NEW.state <> 'draft'
          AND to_jsonb(NEW) - free = to_jsonb(OLD) - free THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'agent version % is % and cannot be changed', OLD.id, OLD.state
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER version_is_immutable BEFORE UPDATE OR DELETE ON agents_agentversion
    FOR EACH ROW EXECUTE FUNCTION agents_version_is_immutable();
"""

# Deleting a draft deletes its entries: by then the draft's row may be gone, which is fine.
IMMUTABLE_KNOWLEDGE = """
CREATE FUNCTION agents_knowledge_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_state text;
    new_state text;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT state INTO old_state FROM agents_agentversion WHERE id = OLD.version_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT state INTO new_state FROM agents_agentversion WHERE id = NEW.version_id;
    END IF;
    IF coalesce(old_state, 'draft') <> 'draft' OR coalesce(new_state, 'draft') <> 'draft' THEN
        RAISE EXCEPTION 'the knowledge of a published agent version cannot be changed'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER knowledge_is_immutable BEFORE INSERT OR UPDATE OR DELETE
    ON agents_knowledgeentry FOR EACH ROW EXECUTE FUNCTION agents_knowledge_is_immutable();
"""

# Words are indexed with and without accents: the Spanish stemmer needs them ("cancelación"
# becomes "cancel"), but recognisers and people often leave them out. Trigrams and the removal
# of accents are written out here, since not every PostgreSQL has pg_trgm and unaccent.
SEARCH = """
CREATE FUNCTION agents_plain(body text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT translate(lower(body), 'áàâäãéèêëíìîïóòôöõúùûüç', 'aaaaaeeeeiiiiooooouuuuc') $$;

CREATE FUNCTION agents_words(language text, body text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_tsvector(config, body) || to_tsvector(config, agents_plain(body))
    FROM (SELECT CASE language WHEN 'es' THEN 'spanish' ELSE 'english' END::regconfig) AS c(config)
$$;

CREATE FUNCTION agents_trigrams(body text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(padded, start, 3)), '{}')
    FROM (SELECT '  ' || word || ' ' FROM regexp_split_to_table(agents_plain(body), '[^a-z0-9ñ]+')
          AS words(word) WHERE word <> '') AS padding(padded),
         generate_series(1, length(padded) - 2) AS starts(start)
$$;

CREATE FUNCTION agents_knowledge_search() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked text := NEW.question || E'\\n' || NEW.phrasings;
    tags text := array_to_string(NEW.tags, ' ');
BEGIN
    NEW.trigrams := agents_trigrams(asked || ' ' || tags);
    NEW.search_vector := setweight(agents_words(NEW.language, asked), 'A')
        || setweight(agents_words(NEW.language, tags), 'B')
        || setweight(agents_words(NEW.language, NEW.answer), 'D');
    RETURN NEW;
END $$;

CREATE TRIGGER knowledge_search BEFORE INSERT OR UPDATE ON agents_knowledgeentry
    FOR EACH ROW EXECUTE FUNCTION agents_knowledge_search();
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]

    operations = [
        migrations.RunSQL(
            IMMUTABLE_VERSIONS,
            "DROP TRIGGER version_is_immutable ON agents_agentversion;"
            "DROP FUNCTION agents_version_is_immutable();",
        ),
        migrations.RunSQL(
            IMMUTABLE_KNOWLEDGE,
            "DROP TRIGGER knowledge_is_immutable ON agents_knowledgeentry;"
            "DROP FUNCTION agents_knowledge_is_immutable();",
        ),
        migrations.RunSQL(
            SEARCH,
            "DROP TRIGGER knowledge_search ON agents_knowledgeentry;"
            "DROP FUNCTION agents_knowledge_search();"
            "DROP FUNCTION agents_words(text, text);"
            "DROP FUNCTION agents_trigrams(text);"
            "DROP FUNCTION agents_plain(text);",
        ),
    ]
