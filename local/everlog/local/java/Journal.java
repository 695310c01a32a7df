import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/**
 * The commands since the store was last written to its file, each appended before it is carried out.
 *
 * An entry is its length and CRC-32, 4 bytes each, and a BSON document. One that a kill cut short was not acknowledged:
 * it is passed over, and nothing comes after it.
 */
final class Journal {

    /** A command, and its number since the store began. */
    record Entry(long number, String database, Document command) {}

    private static final int HEAD_BYTES = 8;

    private final FileChannel file;
    private final ByteBuf bytes = Unpooled.buffer();

    Journal(Path path) throws IOException {
        file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** What the file holds; to be asked before anything is appended. */
    List<Entry> read() throws IOException {
        ByteBuffer content = ByteBuffer.allocate(Math.toIntExact(file.size()));
        while (content.hasRemaining() && file.read(content) >= 0) {}
        content.flip();
        List<Entry> entries = new ArrayList<>();
        while (content.remaining() >= HEAD_BYTES) {
            int length = content.getInt();
            int checksum = content.getInt();
            if (length < 0 || length > content.remaining()) {
                break;
            }
            byte[] bytes = new byte[length];
            content.get(bytes);
            if (checksum != checksum(ByteBuffer.wrap(bytes))) {
                break;
            }
            Document entry = BsonDecoder.decodeBson(Unpooled.wrappedBuffer(bytes));
            entries.add(new Entry((Long) entry.get("number"), (String) entry.get("database"), (Document) entry.get("command")));
        }
        return entries;
    }

    void append(Entry entry) throws IOException {
        bytes.clear().writeZero(HEAD_BYTES);
        Document document = new Document("number", entry.number()).append("database", entry.database()).append("command", entry.command());
        BsonEncoder.encodeDocument(document, bytes);
        int length = bytes.readableBytes() - HEAD_BYTES;
        bytes.setInt(0, length).setInt(Integer.BYTES, checksum(bytes.nioBuffer(HEAD_BYTES, length)));
        ByteBuffer content = bytes.nioBuffer();
        while (content.hasRemaining()) {
            file.write(content);
        }
    }

    /** Bytes that were appended. */
    long size() throws IOException {
        return file.position();
    }

    /** Forget all entries: the store's file holds what they did. */
    void clear() throws IOException {
        file.truncate(0);
    }

    private static int checksum(ByteBuffer bytes) {
        CRC32 checksum = new CRC32();
        checksum.update(bytes);
        return (int) checksum.getValue();
    }
}
