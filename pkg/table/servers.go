package table

import "sync"

// Servers is what the tables of a process share that are on one server: the list of its
// transactions. The zero value is ready for use, and safe for concurrent use. Nil shares
// nothing.
type Servers struct {
	mu     sync.Mutex // guards listed
	listed map[account]*lists
}

// account is who reads at which server.
type account struct{ net, addr, user string }

func (s *Servers) lists(o SideOptions) *lists {
	if s == nil {
		return newLists()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := account{o.DSN.Net, o.DSN.Addr, o.DSN.User}
	if s.listed[a] == nil {
		if s.listed == nil {
			s.listed = map[account]*lists{}
		}
		s.listed[a] = newLists()
	}
	return s.listed[a]
}
