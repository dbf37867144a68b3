package deployment

// TrybootBlock is the block, from the top of the partition, of a boot loader that counts
// nothing itself: a Raspberry Pi's firmware, which boots config.txt beside its folder
// (package boot/rpi).
const TrybootBlock = "gitboot/tryboot.env"

// ByTryboot reports whether this is, as a block, TrybootBlock.
func (l Location) ByTryboot() bool { return l.Path == "/"+TrybootBlock }
