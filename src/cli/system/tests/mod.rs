//! What the repository keeps of this program is what the program says.

mod reference;
