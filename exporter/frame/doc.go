// Package frame writes the compressed frames in which ClickHouse takes the body of an INSERT: a checksum, the method,
// both sizes and the compressed bytes. See ClickHouse's CompressedWriteBuffer.
package frame
