// Package frame writes the compressed frames in which ClickHouse takes the body of an INSERT: a checksum, the method,
// both sizes and the compressed bytes. See ClickHouse's CompressedWriteBuffer.
//
// LZ4 is compressed here and not by a library: after decoding it is the largest part of what a span costs, and the
// bytes of blocks are of one kind, columns of texts and numbers. The format is that of LZ4's block format description.
package frame
