package initramfs_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// ko makes a kernel module as far as it is looked at: imported symbols and
// the .modinfo section.
func ko(imports []string, modinfo ...string) string {
	info := []byte(strings.Join(modinfo, "\x00") + "\x00")
	text := []byte{0}
	symbols := make([]byte, 24)
	for _, name := range append([]string{"init_module"}, imports...) {
		s := elf.Sym64{Name: uint32(len(text)), Info: 0x10}
		if name == "init_module" {
			s.Shndx = 1
		}
		text = append(text, name+"\x00"...)
		symbols, _ = binary.Append(symbols, binary.LittleEndian, s)
	}
	names := []byte("\x00.modinfo\x00.symtab\x00.strtab\x00.shstrtab\x00")
	header := elf.Header64{Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64, Shentsize: 64, Shnum: 5, Shstrndx: 4}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	var body bytes.Buffer
	sections := []elf.Section64{{}}
	for _, s := range []struct {
		name string
		kind elf.SectionType
		data []byte
		link uint32
		size uint64
	}{{".modinfo", elf.SHT_PROGBITS, info, 0, 0}, {".symtab", elf.SHT_SYMTAB, symbols, 3, 24},
		{".strtab", elf.SHT_STRTAB, text, 0, 0}, {".shstrtab", elf.SHT_STRTAB, names, 0, 0}} {
		sections = append(sections, elf.Section64{Name: uint32(bytes.Index(names, []byte(s.name+"\x00"))), Type: uint32(s.kind),
			Off: uint64(64 + body.Len()), Size: uint64(len(s.data)), Link: s.link, Entsize: s.size})
		body.Write(s.data)
	}
	header.Shoff = uint64(64 + body.Len())
	out, _ := binary.Append(nil, binary.LittleEndian, header)
	out = append(out, body.Bytes()...)
	out, _ = binary.Append(out, binary.LittleEndian, sections)
	return string(out)
}
