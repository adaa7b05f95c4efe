//! Flag groups by concern, and the pure step from flags to a request.
