package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrRefusedAddress is the cause of an Outcome whose URL leads to a link-local address or to the metadata service of a
// cloud, where credentials of the machine can be had.
var ErrRefusedAddress = errors.New("address is link-local or a cloud's metadata service")

// metadata are the metadata services that are not link-local.
var metadata = map[netip.Addr]struct{}{
	netip.MustParseAddr("fd00:ec2::254"):   {}, // AWS, IPv6
	netip.MustParseAddr("100.100.100.200"): {}, // Alibaba Cloud
	netip.MustParseAddr("192.0.0.192"):     {}, // Oracle Cloud
	netip.MustParseAddr("168.63.129.16"):   {}, // Azure WireServer
}

// nat64 embeds an IPv4 address in its last four bytes (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkAddress is called by the dialer with the address that it is about to connect to.
func checkAddress(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address: %w", err)
	}
	if refused(ap.Addr()) {
		return ErrRefusedAddress
	}
	return nil
}

// refused says whether a callback must not go to addr.
func refused(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	_, isMetadata := metadata[addr]
	return isMetadata || addr.IsLinkLocalUnicast()
}
