package luks

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/xts"
)

// A kdf makes a key of a passphrase.
type kdf struct {
	kind, hash   string
	iterations   int // of pbkdf2
	time, memory int // of argon2; memory in KiB
	threads      int
	salt         []byte
}

// maxMemory is what argon2 may take in KiB at most: cryptsetup makes none that takes
// more.
const maxMemory = 4 << 20

func (k kdf) check() error {
	if len(k.salt) == 0 || len(k.salt) > maxSalt {
		return fmt.Errorf("a salt of %d bytes", len(k.salt))
	}
	switch k.kind {
	case "pbkdf2":
		if k.iterations < 1 {
			return fmt.Errorf("pbkdf2 with %d iterations", k.iterations)
		}
	case "argon2i", "argon2id":
		if k.time < 1 || k.time > math.MaxInt32 || k.threads < 1 || k.threads > 64 || k.memory < 8 || k.memory > maxMemory {
			return fmt.Errorf("%s with %d KiB %d times on %d processors", k.kind, k.memory, k.time, k.threads)
		}
	default:
		return fmt.Errorf("a key by %.32q, and known are pbkdf2, argon2i and argon2id", k.kind)
	}
	return nil
}

// Share is how much of a memory may be taken for deriving a key: the rest is for the
// boot.
func Share(memory int64) int64 { return memory / 8 * 7 }

// derive makes a key of a length, unless that takes more memory than there is, in
// bytes.
func (k kdf) derive(passphrase []byte, size int, memory int64) ([]byte, error) {
	if k.kind == "pbkdf2" {
		h := hasher(k.hash)
		if h == nil {
			return nil, errHash(k.hash)
		}
		return pbkdf2.Key(h, string(passphrase), k.salt, k.iterations, size)
	}
	if need := k.memoryNeeded(); need > memory {
		return nil, fmt.Errorf("%s takes %d MiB, and %d are free; add a passphrase that takes less (cryptsetup luksAddKey --pbkdf-memory)", k.kind, need>>20, memory>>20)
	}
	// what it took is given back before the next slot, or the next try, takes as much
	defer debug.FreeOSMemory()
	if k.kind == "argon2i" {
		return argon2.Key(passphrase, k.salt, uint32(k.time), uint32(k.memory), uint8(k.threads), uint32(size)), nil
	}
	return argon2.IDKey(passphrase, k.salt, uint32(k.time), uint32(k.memory), uint8(k.threads), uint32(size)), nil
}

// memoryNeeded is in bytes; pbkdf2 takes none to speak of.
func (k kdf) memoryNeeded() int64 { return int64(k.memory) << 10 }

func errHash(name string) error {
	return fmt.Errorf("the hash %.32q is not known, only sha1, sha256 and sha512 are", name)
}

// ErrPassphrase says that a passphrase opens none of the key slots that it was tried
// on.
var ErrPassphrase = errors.New("it opens no key slot")

// A Try is a passphrase, and what it is tried on.
type Try struct {
	Passphrase []byte
	// Slots are names of those to try, nil for all but those that are to be left alone.
	Slots []string
	// Memory is how much deriving a key may take, in bytes.
	Memory int64
}

// Unlock finds the key of the data, which is the caller's to clear. It returns when
// the context ends, though a derivation that was begun goes on until it is through.
func (h *Header) Unlock(ctx context.Context, disk io.ReaderAt, t Try) ([]byte, error) {
	tried, wrong := 0, false
	var problems []error
	for _, s := range h.slots {
		if t.Slots == nil && s.priority == 0 || t.Slots != nil && !slices.Contains(t.Slots, s.name) {
			continue
		}
		tried++
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		key, err := s.openWithin(ctx, disk, t)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil:
			return key, nil
		case errors.Is(err, ErrPassphrase):
			wrong = true
		default:
			problems = append(problems, fmt.Errorf("key slot %s: %w", s.name, err))
		}
	}
	if tried == 0 {
		return nil, errors.New("there is no key slot to try")
	}
	if wrong { // or it is right, and of a slot that could not be tried
		problems = append(problems, ErrPassphrase)
	}
	return nil, errors.Join(problems...)
}

// openWithin is open, for as long as there is time.
func (s *slot) openWithin(ctx context.Context, disk io.ReaderAt, t Try) ([]byte, error) {
	type result struct {
		key []byte
		err error
	}
	done := make(chan result, 1)
	t.Passphrase = slices.Clone(t.Passphrase) // its owner clears it when this returns
	go func() {
		key, err := s.open(disk, t)
		clear(t.Passphrase)
		done <- result{key, err}
	}()
	select {
	case r := <-done:
		return r.key, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open decrypts a slot's material and puts the key together.
func (s *slot) open(disk io.ReaderAt, t Try) ([]byte, error) {
	derived, err := s.kdf.derive(t.Passphrase, s.area.keySize, t.Memory)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	size := s.keySize * s.stripes
	material := make([]byte, (size+511)/512*512)
	defer clear(material)
	if _, err := disk.ReadAt(material, s.area.offset); err != nil {
		return nil, err
	}
	if err := decrypt(s.area.cipher, derived, material); err != nil {
		return nil, err
	}
	key, err := merge(material[:size], s.keySize, s.afHash)
	if err != nil {
		return nil, err
	}
	h := hasher(s.digest.hash)
	if h == nil {
		return nil, errHash(s.digest.hash)
	}
	sum, err := pbkdf2.Key(h, string(key), s.digest.salt, s.digest.iterations, len(s.digest.sum))
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(sum, s.digest.sum) != 1 {
		clear(key)
		return nil, ErrPassphrase
	}
	return key, nil
}

// decrypt decrypts sectors of 512 bytes, which are numbered from 0.
func decrypt(name string, key, data []byte) error {
	kind, mode, ok := strings.Cut(name, "-")
	if !ok || kind != "aes" {
		return fmt.Errorf("the cipher %.64q of its key is not known", name)
	}
	if mode == "xts-plain64" || mode == "xts-plain" {
		c, err := xts.NewCipher(aes.NewCipher, key)
		if err != nil {
			return err
		}
		for n := 0; n < len(data); n += 512 {
			c.Decrypt(data[n:n+512], data[n:n+512], uint64(n/512))
		}
		return nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	iv, err := ivs(mode, key)
	if err != nil {
		return err
	}
	for n := 0; n < len(data); n += 512 {
		cipher.NewCBCDecrypter(block, iv(uint64(n/512))).CryptBlocks(data[n:n+512], data[n:n+512])
	}
	return nil
}

// ivs makes the first block of each sector, as dm-crypt's plain64 and essiv do.
func ivs(mode string, key []byte) (func(sector uint64) []byte, error) {
	plain := func(sector uint64) []byte { return binary.LittleEndian.AppendUint64(make([]byte, 0, 16), sector)[:16] }
	switch mode {
	case "cbc-plain64", "cbc-plain":
		return plain, nil
	case "cbc-essiv:sha256":
		sum := sha256.Sum256(key)
		block, err := aes.NewCipher(sum[:])
		if err != nil {
			return nil, err
		}
		return func(sector uint64) []byte {
			iv := plain(sector)
			block.Encrypt(iv, iv)
			return iv
		}, nil
	}
	return nil, fmt.Errorf("the mode %.64q of its key's cipher is not known", mode)
}

// merge undoes the anti-forensic split (LUKS1's specification, 2.4).
func merge(material []byte, size int, name string) ([]byte, error) {
	h := hasher(name)
	if h == nil {
		return nil, errHash(name)
	}
	key := make([]byte, size)
	for at := 0; at < len(material); at += size {
		subtle.XORBytes(key, key, material[at:at+size])
		if at+size < len(material) {
			diffuse(key, h())
		}
	}
	return key, nil
}

// diffuse hashes a key in pieces, each with its number.
func diffuse(key []byte, h hash.Hash) {
	for n, at := uint32(0), 0; at < len(key); n, at = n+1, at+h.Size() {
		piece := key[at:min(at+h.Size(), len(key))]
		h.Reset()
		h.Write(be.AppendUint32(nil, n))
		h.Write(piece)
		copy(piece, h.Sum(nil))
	}
}
