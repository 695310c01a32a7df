import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.H2Collection;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerException;
import de.bwaldvogel.mongo.oplog.Oplog;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import de.bwaldvogel.mongo.wire.message.MongoQuery;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.TreeSet;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.h2.mvstore.Cursor;
import org.h2.mvstore.DataUtils;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;

/**
 * A server that speaks MongoDB's wire protocol, for machines without the real one.
 *
 * Usage: java MongoStandIn HOST PORT FILE
 *
 * It adds to mongo-java-server what Everlog relies on:
 * one command runs at a time and its reply is a copy (the library hands out its live documents, so a concurrent
 * find-and-modify could answer with another caller's result); what a command writes survives a kill of the process once
 * the reply leaves; and wire version 21, since today's drivers refuse the library's own 8.
 *
 * As in MongoDB itself, a command goes into a journal at once and into the store's file some time later: the store
 * encodes whole pages anew, so writing it after each command took several times as long as all of the rest.
 */
public final class MongoStandIn extends H2Backend {

    /** What MongoDB 7.0 reports; PyMongo 4.20 needs at least 9. */
    private static final int WIRE_VERSION = 21;

    private static final List<Integer> VERSION = List.of(7, 0, 0, 0);

    /** Pages kept in memory, MB; documents below it are read without touching the file. */
    private static final int CACHE_MB = 64;

    /** A commit encodes whole pages anew: small ones hold about one session, so its neighbours are left alone. */
    private static final int PAGE_BYTES = 2 << 10;

    /** Filters on _id that a walk over the sorted map answers. */
    private static final Set<String> RANGE = Set.of("$gt", "$gte", "$lt", "$lte");

    /** Old versions are kept this long, ms: only a crash of the machine, not of the process, would need them. */
    private static final int RETENTION_MS = 5_000;

    /** How often the store is written to its file: what changes more often is written once, and neighbours together. */
    private static final int SAVE_EVERY_MS = 200;

    /** As often, chunks of the file with less live data than this share are rewritten: few bytes, for all wait. */
    private static final int COMPACT_BELOW_PERCENT = 50;
    private static final int COMPACT_BYTES = 512 << 10;

    /** The journal is read into memory at a start, so what it holds is bounded, as is what the store keeps unsaved. */
    private static final long JOURNAL_BYTES = 16 << 20;

    /** Commands that leave everything as it is; whatever is not named here goes into the journal. */
    private static final Set<String> READS = Set.of(
            "buildinfo", "count", "distinct", "endsessions", "find", "getmore", "hello", "ismaster", "killcursors",
            "listcollections", "listdatabases", "listindexes", "ping");

    /** Exit codes: of a process that was told to end, as a JVM gives it, and of a failure of the disk. */
    private static final int TERMINATED = 143;
    private static final int FAILED = 74;

    private static final String LAST = "last command";

    private final Object oneAtATime = new Object();
    private final Journal journal;

    /** The number of the last command that the maps hold: it is written to the file together with them. */
    private final MVMap<String, Long> carriedOut;

    private MongoStandIn(MVStore store, Journal journal) {
        super(store);
        this.journal = journal;
        carriedOut = store.openMap("journal");
    }

    public static void main(String[] arguments) throws IOException {
        // A commit of the store's own could serialise a document that a command is changing: commits are ours alone.
        MVStore store = new MVStore.Builder()
                .fileName(arguments[2])
                .cacheSize(CACHE_MB)
                .pageSplitSize(PAGE_BYTES)
                .autoCommitDisabled()
                .autoCommitBufferSize(0)
                .open();
        store.setRetentionTime(RETENTION_MS);
        MongoStandIn standIn = new MongoStandIn(store, new Journal(Path.of(arguments[2] + ".journal")));
        standIn.repeat();
        MongoServer server = new MongoServer(standIn);
        server.bind(arguments[0], Integer.parseInt(arguments[1]));
        ScheduledExecutorService housekeeper = Executors.newSingleThreadScheduledExecutor();
        housekeeper.scheduleWithFixedDelay(standIn::keepHouse, SAVE_EVERY_MS, SAVE_EVERY_MS, TimeUnit.MILLISECONDS);
        Runtime.getRuntime().addShutdownHook(new Thread(standIn::leave));
    }

    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
        return new Database(name);
    }

    @Override
    public Document handleCommand(Channel channel, String database, String command, Document query) {
        synchronized (oneAtATime) {
            return carryOut(channel, database, command, query).cloneDeeply();
        }
    }

    @Override
    public QueryResult handleQuery(MongoQuery query) {
        synchronized (oneAtATime) {
            QueryResult result = super.handleQuery(query);
            List<Document> copies = new ArrayList<>();
            result.forEach(document -> copies.add(document.cloneDeeply()));
            return new QueryResult(copies, result.getCursorId());
        }
    }

    private Document carryOut(Channel channel, String database, String command, Document query) {
        if (READS.contains(command.toLowerCase())) {
            return answer(channel, database, command, query);
        }
        long number = carriedOut.getOrDefault(LAST, 0L) + 1;
        orDie(() -> journal.append(new Journal.Entry(number, database, query)));
        try {
            return answer(channel, database, command, query);
        } finally {
            carriedOut.put(LAST, number);
            orDie(() -> saveBeyond(JOURNAL_BYTES));
        }
    }

    /** Carry out again what was acknowledged and did not reach the store's file. */
    private void repeat() throws IOException {
        Channel nobody = new EmbeddedChannel();
        for (Journal.Entry entry : journal.read()) {
            if (entry.number() > carriedOut.getOrDefault(LAST, 0L)) {
                String command = entry.command().keySet().iterator().next();
                try {
                    answer(nobody, entry.database(), command, entry.command());
                } catch (MongoServerException refused) {
                    // as it was the first time
                }
                carriedOut.put(LAST, entry.number());
            }
        }
        saveBeyond(0);
    }

    private void saveBeyond(long journalBytes) throws IOException {
        if (journal.size() > journalBytes) {
            getMvStore().commit();
            journal.clear();
        }
    }

    private void keepHouse() {
        synchronized (oneAtATime) {
            orDie(() -> {
                saveBeyond(0);
                getMvStore().compact(COMPACT_BELOW_PERCENT, COMPACT_BYTES);
            });
        }
    }

    private void leave() {
        synchronized (oneAtATime) {
            orDie(() -> saveBeyond(0));
            Runtime.getRuntime().halt(TERMINATED);
        }
    }

    private interface FileWork {
        void run() throws IOException;
    }

    /** A write that cannot be stored must not be acknowledged: the process ends, and the caller's connection with it. */
    private static void orDie(FileWork work) {
        try {
            work.run();
        } catch (IOException | MVStoreException failure) {
            failure.printStackTrace();
            Runtime.getRuntime().halt(FAILED);
        }
    }

    private Document answer(Channel channel, String database, String command, Document query) {
        switch (command.toLowerCase()) {
            case "hello":
            case "ismaster":
                Document hello = super.handleCommand(channel, database, "ismaster", query);
                hello.put("isWritablePrimary", Boolean.TRUE);
                hello.put("helloOk", Boolean.TRUE);
                hello.put("maxWireVersion", WIRE_VERSION);
                hello.put("readOnly", Boolean.FALSE);
                return hello;
            case "buildinfo":
                Document info = super.handleCommand(channel, database, "buildinfo", query);
                info.put("version", "7.0.0");
                info.put("versionArray", VERSION);
                info.put("everlogStandIn", Boolean.TRUE);
                return info;
            default:
                return super.handleCommand(channel, database, command, query);
        }
    }

    /**
     * Stores documents as BSON and compares index keys as values.
     *
     * The library leaves both to Java serialisation: every step of a binary search would serialise two keys.
     * A map is opened here with the right types first; the library's own open then finds it.
     */
    private final class Database extends H2Database {

        Database(String name) {
            super(name, getMvStore(), getCursorRegistry());
        }

        @Override
        protected MongoCollection<Object> openOrCreateCollection(String collection, CollectionOptions options) {
            MVMap.Builder<Object, Document> types =
                    new MVMap.Builder<Object, Document>().keyType(new IdType()).valueType(new BsonType());
            MVMap<Object, Document> documents = getMvStore().openMap("databases." + getFullCollectionNamespace(collection), types);
            MVMap<String, Object> counters = getMvStore().openMap("meta." + getFullCollectionNamespace(collection));
            return new IdentifiedCollection(this, collection, options, documents, counters);
        }

        @Override
        protected Index<Object> openOrCreateUniqueIndex(String collection, String index, List<IndexKey> keys, boolean sparse) {
            MVMap.Builder<KeyValue, Object> types = new MVMap.Builder<KeyValue, Object>().keyType(new KeyType());
            getMvStore().openMap(getFullCollectionNamespace(collection) + "._index_" + index, types);
            return super.openOrCreateUniqueIndex(collection, index, keys, sparse);
        }

        /** The library compares names without their final dot: it would also empty every database whose name goes on. */
        @Override
        public void drop(Oplog oplog) {
            String documents = "databases." + getDatabaseName() + ".";
            for (String map : new ArrayList<>(getMvStore().getMapNames())) {
                if (map.startsWith(documents) && !map.startsWith(documents + "system.")) {
                    dropCollection(map.substring(documents.length()), oplog);
                }
            }
            for (String map : new ArrayList<>(getMvStore().getMapNames())) {
                if (map.startsWith(documents) || map.startsWith("meta." + getDatabaseName() + ".") || map.startsWith(getDatabaseName() + ".")) {
                    getMvStore().removeMap(map);
                }
            }
        }
    }

    /**
     * Finds documents by their string _id whatever else the filter asks for, by value, $in and range.
     *
     * The library uses an index only when the filter names its keys and nothing else: a replace guarded by a revision
     * would read the whole collection.
     */
    private final class IdentifiedCollection extends H2Collection {

        private final MVMap<Object, Document> documents;

        IdentifiedCollection(
                MongoDatabase database,
                String name,
                CollectionOptions options,
                MVMap<Object, Document> documents,
                MVMap<String, Object> counters) {
            super(database, name, options, documents, counters, getCursorRegistry());
            this.documents = documents;
        }

        @Override
        protected QueryResult queryDocuments(
                Document query, Document order, int skip, int limit, int batchSize, Document projection) {
            Object wanted = "_id".equals(getIdField()) ? query.get("_id") : null;
            boolean descending = order != null && order.equals(new Document("_id", -1));
            boolean ascending = order != null && order.equals(new Document("_id", 1));
            Stream<Document> candidates = candidates(wanted, descending);
            if (candidates == null) {
                return super.queryDocuments(query, order, skip, limit, batchSize, projection);
            }
            Document remainingOrder = ascending || descending ? null : order;
            return matchDocumentsFromStream(candidates, query, remainingOrder, skip, limit, batchSize, projection);
        }

        /** Documents that may match, in the order of their _id; null where only a full scan knows. */
        private Stream<Document> candidates(Object wanted, boolean descending) {
            if (wanted instanceof String) {
                return Stream.ofNullable(documents.get(wanted));
            }
            if (!(wanted instanceof Document)) {
                return null;
            }
            Document condition = (Document) wanted;
            if (condition.keySet().equals(Set.of("$in"))) {
                return listed((Collection<?>) condition.get("$in"), descending);
            }
            boolean isRange = !condition.isEmpty() && RANGE.containsAll(condition.keySet());
            return isRange && allStrings(condition.values()) ? range(condition, descending) : null;
        }

        private Stream<Document> listed(Collection<?> ids, boolean descending) {
            if (!allStrings(ids)) {
                return null;
            }
            TreeSet<Object> sorted = new TreeSet<>(ids);
            return (descending ? sorted.descendingSet() : sorted).stream().map(documents::get).filter(Objects::nonNull);
        }

        private Stream<Document> range(Document condition, boolean descending) {
            Object low = condition.getOrDefault("$gte", condition.getOrDefault("$gt", ""));
            Object high = condition.getOrDefault("$lte", condition.get("$lt"));
            if (high == null) {
                high = documents.lastKey();
            }
            Cursor<Object, Document> cursor =
                    descending ? documents.cursor(high, low, true) : documents.cursor(low, high, false);
            Iterator<Document> values = new Iterator<>() {
                @Override
                public boolean hasNext() {
                    return cursor.hasNext();
                }

                @Override
                public Document next() {
                    cursor.next();
                    return cursor.getValue();
                }
            };
            return StreamSupport.stream(Spliterators.spliteratorUnknownSize(values, Spliterator.ORDERED), false);
        }

        private boolean allStrings(Collection<?> values) {
            return values.stream().allMatch(String.class::isInstance);
        }
    }

    /** Ids, which are strings nearly always: those are compared and written without asking for their type each time. */
    private static final class IdType extends BasicDataType<Object> {

        private static final int OTHER = -1;

        private final ObjectDataType others = new ObjectDataType();

        @Override
        public int compare(Object left, Object right) {
            if (left instanceof String && right instanceof String) {
                return ((String) left).compareTo((String) right);
            }
            return others.compare(left, right);
        }

        @Override
        public int getMemory(Object id) {
            return others.getMemory(id);
        }

        @Override
        public void write(WriteBuffer target, Object id) {
            if (id instanceof String) {
                byte[] text = ((String) id).getBytes(StandardCharsets.UTF_8);
                target.putVarInt(text.length);
                target.put(text);
            } else {
                target.putVarInt(OTHER);
                others.write(target, id);
            }
        }

        @Override
        public Object read(ByteBuffer source) {
            int length = DataUtils.readVarInt(source);
            if (length == OTHER) {
                return others.read(source);
            }
            byte[] text = new byte[length];
            source.get(text);
            return new String(text, StandardCharsets.UTF_8);
        }

        @Override
        public Object[] createStorage(int size) {
            return new Object[size];
        }
    }

    private static final class BsonType extends BasicDataType<Document> {

        /** Java objects of a decoded document against its bytes: decides only how much of the cache a page counts for. */
        private static final int BYTES_PER_FIELD = 120;

        private final ByteBuf bson = Unpooled.buffer();

        @Override
        public int getMemory(Document document) {
            int bytes = 0;
            for (Object value : document.values()) {
                bytes += BYTES_PER_FIELD + sizeOf(value);
            }
            return bytes;
        }

        private int sizeOf(Object value) {
            if (value instanceof BinData) {
                return ((BinData) value).getData().length;
            }
            if (value instanceof byte[]) {
                return ((byte[]) value).length;
            }
            if (value instanceof String) {
                return ((String) value).length();
            }
            if (value instanceof Document) {
                return getMemory((Document) value);
            }
            return value instanceof Collection ? ((Collection<?>) value).size() * BYTES_PER_FIELD : 0;
        }

        @Override
        public void write(WriteBuffer target, Document document) {
            bson.clear();
            BsonEncoder.encodeDocument(document, bson);
            target.putVarInt(bson.readableBytes());
            target.put(bson.nioBuffer());
        }

        @Override
        public Document read(ByteBuffer source) {
            byte[] bson = new byte[DataUtils.readVarInt(source)];
            source.get(bson);
            return BsonDecoder.decodeBson(Unpooled.wrappedBuffer(bson));
        }

        @Override
        public Document[] createStorage(int size) {
            return new Document[size];
        }
    }

    private static final class KeyType extends BasicDataType<KeyValue> {

        private final ObjectDataType parts = new ObjectDataType();

        @Override
        public int compare(KeyValue left, KeyValue right) {
            int order = Integer.compare(left.size(), right.size());
            for (int i = 0; order == 0 && i < left.size(); i++) {
                order = parts.compare(left.get(i), right.get(i));
            }
            return order;
        }

        @Override
        public int getMemory(KeyValue key) {
            int bytes = 0;
            for (Object part : key) {
                bytes += parts.getMemory(part);
            }
            return bytes;
        }

        @Override
        public void write(WriteBuffer target, KeyValue key) {
            target.putVarInt(key.size());
            for (Object part : key) {
                parts.write(target, part);
            }
        }

        @Override
        public KeyValue read(ByteBuffer source) {
            Object[] values = new Object[DataUtils.readVarInt(source)];
            for (int i = 0; i < values.length; i++) {
                values[i] = parts.read(source);
            }
            return new KeyValue(values);
        }

        @Override
        public KeyValue[] createStorage(int size) {
            return new KeyValue[size];
        }
    }
}
