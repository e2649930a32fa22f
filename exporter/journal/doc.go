// Package journal keeps rows on disk from the moment they are acknowledged until they are stored.
//
// A request is one or more records, appended together. [Journal.Append] returns when they are durable; requests that
// come together share one write and one fdatasync. Records go to the open segment. [Journal.Rotate] closes it: nothing
// is ever appended to it again, so its records can be sent as one block under a token that never changes
// ([Segment.Token]). [Segment.Remove] forgets it once all of it is stored. What [Open] finds are closed segments of an
// earlier run, to be sent again under the same tokens.
//
// A request carries a hash. A request whose hash is known to be durable is a duplicate and is not written again. A hash
// is known for [Settings.Window] after it became durable, whether its segment is removed meanwhile or not; after a
// restart, for as long again.
//
// # Files
//
//	LOCK                one process at a time
//	<number>.seg        a segment
//	<number>.progress   what of a segment is stored already
//	window-<number>.log hashes of removed segments
//	reserve             room for the window when the disk is full
//	deadletter/         blocks that were rejected
//	damaged/            copies of files in which damage was found
//
// # Damage
//
// Every byte of segments, progress and windows is covered by a CRC32C that, for records, also covers the run, the
// number and the place in the file, so no bytes are taken for a record but those that were written as that one. The
// header of a file is there twice. After a group of records is durable a commit mark is written behind it (made durable
// with the next group), and a closed segment ends with a close mark. Marks also tell how long the segment before is.
// What cannot be read is
//
//   - damage, if something valid follows it, or if it has its full length: the readable records are still delivered,
//     the file is copied to damaged/ and the damage is reported with file and offset;
//   - a torn tail, if the file ends in the middle of it, or if a part of it was never written (a stretch of zeros up to
//     the end of a disk sector): what a crash leaves of a group that was not acknowledged.
//
// Two things cannot be told apart from a torn tail, and count as one: damage that looks like a stretch that was never
// written, in the very group that was made durable last before the machine lost power, since its commit mark was lost
// with the power (if the process alone dies, the marks of all acknowledged groups are there); and a segment that
// something else cut off, if no later segment of the run says how long it was.
package journal
